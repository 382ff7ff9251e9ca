import type { Clock } from './contract/supervisor.ts';

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

/** Runs `work` with a signal that aborts with `signal`, or after `limitMs` on the clock. */
export async function withLimit<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  const onAbort = () => over.abort(signal.reason);
  const timer = clock.setTimeout(() => over.abort(new Error(`timed out after ${limitMs} ms`)), limitMs);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(over.signal);
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
