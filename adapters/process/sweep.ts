import { setTimeout as delay } from 'node:timers/promises';
import { findMarked } from './process-table.ts';
import { signalProcess } from './signals.ts';

const POLL_MS = 20;

/** Kills whatever still carries the mark, and resolves with the pids that outlived `limitMs`. */
export async function sweep(mark: string, limitMs: number): Promise<readonly number[]> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const pids = await findMarked(mark);
    if (pids.length === 0 || performance.now() > deadline) return pids;
    for (const pid of pids) signalProcess(pid, 'SIGKILL');
    await delay(POLL_MS);
  }
}
