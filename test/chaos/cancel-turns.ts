import { setTimeout as pause } from 'node:timers/promises';
import { createSupervisor, type Session, type Turn, type TurnResult } from '../../index.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { countSettlements } from './settlements.ts';
import { watched } from './watched.ts';

/** When a turn is cancelled. */
export const PHASES = [
  'at once',
  'streaming',
  'tool running',
  'permission pending',
  'model retrying',
  'model stalled',
] as const;
export type Phase = (typeof PHASES)[number];

export interface CancelledTurn {
  readonly phase: Phase;
  readonly outcome: TurnResult['outcome'];
  /** From the request to the settlement. */
  readonly settledMs: number;
  /** The agent ignored it until its process was retired. */
  readonly isRetired: boolean;
}

export interface CancelOptions {
  readonly agent: AgentUnderTest;
  readonly runs: number;
  readonly random: () => number;
  readonly onTurn?: (turn: CancelledTurn, index: number) => void;
}

/** A quarter of the cancels comes within so many milliseconds of the prompt. */
const AT_ONCE_MS = 20;
/** No request to the model may be open for longer after the settlement, in milliseconds. */
const MODEL_LIMIT_MS = 1_000;

/** Cancels many turns of a real agent in every phase, and counts what that costs. */
export async function cancelTurns(
  options: CancelOptions,
): Promise<{ readonly turns: readonly CancelledTurn[]; readonly violations: readonly string[] }> {
  const violations: string[] = [];
  const turns = await watched(violations, (world) => cancelAll(world, options, violations));
  return { turns, violations };
}

async function cancelAll(
  world: OpencodeWorld,
  { agent, runs, random, onTurn }: CancelOptions,
  violations: string[],
): Promise<readonly CancelledTurn[]> {
  const turns: CancelledTurn[] = [];
  let phase: Phase = 'at once';
  const supervisor = createSupervisor({
    backends: { agent: agent.backend(world) },
    stateDirectory: world.directory('supervisor-state'),
    onPermission: () => (phase === 'permission pending' ? undefined : { outcome: 'allow_once' }),
  });
  const settlements = countSettlements(supervisor);
  const pidOf = () => supervisor.backend('agent').status().pid;
  try {
    const session = await supervisor.openSession({ backend: 'agent', directory: world.directory() });
    for (let index = 0; index < runs; index += 1) {
      const told = (what: string) => violations.push(`turn ${index} (${phase}) ${what}`);
      phase = index % 4 === 0 ? 'at once' : (PHASES[1 + (index % 5)] ?? 'streaming');
      const pid = pidOf();
      const nonce = `nonce-${index}-of`;
      const turn = session.prompt(`[[fresh]]${nonce} ${scriptOf(phase, agent)}`);
      await reached(phase, { turn, nonce, model: world.model, random });
      const askedAt = performance.now();
      await turn.cancel();
      const settledMs = Math.round(performance.now() - askedAt);
      const { outcome, error } = await turn.result;
      const cancelled = { phase, outcome, settledMs, isRetired: error?.code === 'ERR_CANCEL_TIMEOUT' };
      turns.push(cancelled);
      onTurn?.(cancelled, index);
      if (outcome !== 'cancelled') told(`was ${outcome}: ${JSON.stringify(error)}`);
      if (settlements.get(turn.id) !== 1) told(`settled ${settlements.get(turn.id) ?? 0} times`);
      if (!(await isModelLeftAlone(world))) told(`left ${world.model.openRequests} requests to the model open`);
      if (supervisor.pendingDecisions().length > 0) told('left a decision pending');
      await expectUnharmed(session, told);
      if (!cancelled.isRetired && pidOf() !== pid) told('cost the process');
    }
  } finally {
    await supervisor.stop({ graceMs: 0 });
  }
  return turns;
}

function scriptOf(phase: Phase, agent: AgentUnderTest): string {
  switch (phase) {
    case 'at once':
    case 'streaming':
      return '[[words 2000 every 20]]';
    case 'tool running':
    case 'permission pending':
      return agent.shell('touch waits.txt && tail -f /dev/null');
    case 'model retrying':
      return '[[status 500]]';
    case 'model stalled':
      return '[[stall]]';
  }
}

interface Moment {
  readonly turn: Turn;
  readonly nonce: string;
  readonly model: OpencodeWorld['model'];
  readonly random: () => number;
}

/** Resolves when the turn is in its phase. A turn that ended instead is no reason to wait. */
async function reached(phase: Phase, { turn, nonce, model, random }: Moment): Promise<void> {
  switch (phase) {
    case 'at once':
      return pause(random() * AT_ONCE_MS);
    case 'streaming':
      for await (const event of turn) if (event.type === 'text') return;
      return;
    case 'permission pending':
      for await (const event of turn) if (event.type === 'permission') return;
      return;
    case 'tool running':
      for await (const event of turn) if (event.type === 'permission' && event.decision) break;
      return pause(random() * 300);
    case 'model retrying':
    case 'model stalled': {
      while (model.executionsOf(nonce) === 0) await pause(5);
      return pause(random() * 300);
    }
  }
}

async function isModelLeftAlone({ model }: OpencodeWorld): Promise<boolean> {
  const until = performance.now() + MODEL_LIMIT_MS;
  while (model.openRequests > 0 && performance.now() < until) await pause(10);
  return model.openRequests === 0;
}

async function expectUnharmed(session: Session, told: (what: string) => void): Promise<void> {
  const next = await session.prompt('[[fresh]][[say still here]]').result;
  if (next.text !== 'still here') told(`harmed the next one: ${JSON.stringify(next)}`);
}
