import { randomUUID } from 'node:crypto';

/**
 * Carried by every child and by whatever it starts: `<run id>:<child number>`. The run id is one per JavaScript realm
 * (the process, or a worker thread), so that what a dead host left behind can be told from everything else.
 */
export const RUN_VARIABLE = 'AGENT_SUPERVISOR_RUN';

interface Identity {
  readonly runId: string;
  children: number;
}

/** Two copies of this library in one realm share the identity. */
const KEY = Symbol.for('agent-supervisor.run-identity.v1');

function identity(): Identity {
  const realm = globalThis as Record<symbol, Identity | undefined>;
  realm[KEY] ??= { runId: randomUUID(), children: 0 };
  return realm[KEY];
}

export const runId = (): string => identity().runId;

/** The run that a mark is of. */
export const runOf = (mark: string): string => mark.slice(0, Math.max(0, mark.lastIndexOf(':')));

/** A mark that no other child of this run carries. */
export function nextChildMark(): string {
  const own = identity();
  own.children += 1;
  return `${own.runId}:${own.children}`;
}
