import { setTimeout as delay } from 'node:timers/promises';
import { isRunning } from './process-identity.ts';
import { findOfRuns, type MarkedProcess, stillCarries } from './process-table.ts';
import { runOf } from './run-identity.ts';
import type { RunRecord } from './run-record.ts';
import { signalGroup, signalProcess, terminateGroup } from './signals.ts';

/** How long what is left may take to end. */
export interface EndLimits {
  /** After SIGTERM, in milliseconds. */
  readonly graceMs: number;
  /** In all, in milliseconds. */
  readonly limitMs: number;
}

/** By run: the processes that were ended, and those that could not be. */
export interface RunsEnd {
  readonly ended: ReadonlyMap<string, ReadonlySet<number>>;
  readonly survivors: ReadonlyMap<string, ReadonlySet<number>>;
}

const POLL_MS = 20;

/** A process in the middle of an exec shows no environment, one that is being forked does not show at all: look twice. */
const EMPTY_LOOKS = 2;

/** Ends whatever carries a mark of the runs: SIGTERM and SIGCONT, and SIGKILL after the grace, until nothing does. */
export async function endRuns(records: readonly RunRecord[], { graceMs, limitMs }: EndLimits): Promise<RunsEnd> {
  const runs = new Set(records.map(({ run }) => run));
  const asked = new Map<number, string>();
  const begin = performance.now();
  for (let empty = 0; ;) {
    const found = [...(await findOfRuns(runs)), ...leadersOf(records)];
    empty = found.length === 0 ? empty + 1 : 0;
    const passedMs = performance.now() - begin;
    if (empty === EMPTY_LOOKS || passedMs > limitMs) return endOf(asked, found);
    for (const one of found) end(one, asked, passedMs > graceMs);
    await delay(POLL_MS);
  }
}

type Leader = MarkedProcess & { readonly leads?: true };

/** Where environments may not be readable, the groups whose leader is known to be the recorded process. */
function leadersOf(records: readonly RunRecord[]): readonly Leader[] {
  if (process.platform === 'linux') return [];
  return records.flatMap(({ run, children }) =>
    children.filter(isRunning).map(({ pid }) => ({ pid, mark: `${run}:`, leads: true as const })),
  );
}

function end(one: Leader, asked: Map<number, string>, isOver: boolean): void {
  if (!one.leads && !stillCarries(one)) return;
  const isFirst = !asked.has(one.pid);
  asked.set(one.pid, runOf(one.mark));
  if (isOver) void (one.leads ? signalGroup : signalProcess)(one.pid, 'SIGKILL');
  else if (isFirst) void (one.leads ? terminateGroup : terminateProcess)(one.pid);
}

function terminateProcess(pid: number): void {
  signalProcess(pid, 'SIGTERM');
  signalProcess(pid, 'SIGCONT');
}

function endOf(asked: ReadonlyMap<number, string>, left: readonly MarkedProcess[]): RunsEnd {
  const alive = new Map(left.map(({ pid, mark }) => [pid, runOf(mark)]));
  const gone = new Map([...asked].filter(([pid]) => !alive.has(pid)));
  return { ended: byRun(gone), survivors: byRun(alive) };
}

function byRun(pids: ReadonlyMap<number, string>): ReadonlyMap<string, ReadonlySet<number>> {
  const runs = new Map<string, Set<number>>();
  for (const [pid, run] of pids) runs.set(run, (runs.get(run) ?? new Set()).add(pid));
  return runs;
}
