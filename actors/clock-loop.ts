import type { Clock } from './contract/supervisor.ts';
import { SupervisorError } from './errors.ts';

/** Waits on the clock; resolves early, and without error, when the signal aborts. */
export function waitFor(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.setTimeout(done, delayMs);
    signal.addEventListener('abort', done, { once: true });
  });
}

const timedOut = (limitMs: number) =>
  new SupervisorError('ERR_OPEN_TIMEOUT', `It timed out after ${limitMs} ms.`, { reason: 'timeout' });

/**
 * Runs `work` with a signal that aborts with `signal`, or after `limitMs` on the clock. Rejects then, whatever becomes of
 * the work.
 */
export async function withLimit<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  const onAbort = () => over.abort(signal.reason);
  const timer = clock.setTimeout(() => over.abort(timedOut(limitMs)), limitMs);
  signal.addEventListener('abort', onAbort, { once: true });
  const ended = new Promise<never>((_, reject) => {
    over.signal.addEventListener('abort', () => reject(over.signal.reason as Error), { once: true });
  });
  try {
    return await Promise.race([work(over.signal), ended]);
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
