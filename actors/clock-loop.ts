import type { Clock } from './contract/supervisor.ts';
import { SupervisorError } from './errors.ts';

interface Audience {
  readonly callbacks: Set<() => void>;
  readonly onAbort: () => void;
}

const audiences = new WeakMap<AbortSignal, Audience>();

/**
 * Calls back when the signal aborts. Returns the function that ends that. However many wait for a signal, it has one
 * listener of ours, and none when nobody does: some platforms warn of many.
 */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  const audience = audiences.get(signal) ?? assemble(signal);
  const call = () => callback();
  audience.callbacks.add(call);
  return () => {
    if (!audience.callbacks.delete(call) || audience.callbacks.size > 0) return;
    signal.removeEventListener('abort', audience.onAbort);
    audiences.delete(signal);
  };
}

function assemble(signal: AbortSignal): Audience {
  const callbacks = new Set<() => void>();
  const onAbort = () => {
    for (const callback of [...callbacks]) callback();
  };
  const audience = { callbacks, onAbort };
  audiences.set(signal, audience);
  signal.addEventListener('abort', onAbort, { once: true });
  return audience;
}

/** Waits on the clock; resolves early, and without error, when the signal aborts. */
export function waitFor(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clock.clearTimeout(timer);
      forget();
      resolve();
    };
    const timer = clock.setTimeout(done, delayMs);
    const forget = whenAborted(signal, done);
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
  const forget = whenAborted(signal, onAbort);
  const ended = new Promise<never>((_, reject) => {
    over.signal.addEventListener('abort', () => reject(over.signal.reason as Error), { once: true });
  });
  try {
    return await Promise.race([work(over.signal), ended]);
  } finally {
    clock.clearTimeout(timer);
    forget();
  }
}
