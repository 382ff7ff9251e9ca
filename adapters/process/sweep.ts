import { setTimeout as delay } from 'node:timers/promises';
import { findMarked } from './process-table.ts';
import { signalProcess } from './signals.ts';

const POLL_MS = 20;

/** A process in the middle of an exec shows no environment, one that is being forked does not show at all: look twice. */
const EMPTY_LOOKS = 2;

/** Kills whatever still carries the mark, and resolves with the pids that outlived `limitMs`. */
export async function sweep(mark: string, limitMs: number): Promise<readonly number[]> {
  const deadline = performance.now() + limitMs;
  for (let empty = 0; ;) {
    const pids = await findMarked(mark);
    empty = pids.length === 0 ? empty + 1 : 0;
    if (empty === EMPTY_LOOKS || performance.now() > deadline) return pids;
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    await delay(POLL_MS);
  }
}
