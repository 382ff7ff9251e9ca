import type { Failure } from '../../machines/policies/failure-class.ts';
import type { Clock } from '../contract/supervisor.ts';
import { fromFailure, SupervisorError } from '../errors.ts';
import type { LifeRuntime, StateChange } from './life-runtime.ts';

export interface AwaitHealthyOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether it is started where it rests. Default true. */
  readonly start?: boolean;
}

/**
 * Starts the backend if need be and allowed, and resolves when it is proved to work. Rejects when it gives up, is stopped, the
 * signal aborts, or at the time limit with the last start error.
 */
export async function awaitHealthy(
  backend: LifeRuntime,
  { clock, timeoutMs, signal, start = true }: AwaitHealthyOptions,
): Promise<void> {
  if (backend.abandoned) throw lastErrorOf(backend);
  backend.changeDemand({ waiters: 1 });
  try {
    await new Promise<void>((resolve, reject) => {
      let isAsked = false; // Before that, what ends is what somebody else stopped.
      const settle = (finish: () => void) => {
        stopListening();
        clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const onChange = (change: StateChange) => {
        if (change.to === 'healthy') settle(resolve);
        if (change.to === 'failed') settle(() => reject(lastErrorOf(backend)));
        if (change.to === 'idle' && isAsked) settle(() => reject(stoppedError(backend)));
      };
      const onAbort = () => settle(() => reject(abortError(signal)));
      const stopListening = backend.onChange(onChange);
      const timer = clock.setTimeout(() => settle(() => reject(timeoutError(backend, timeoutMs))), timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) return onAbort();
      if (start) backend.send({ type: 'life.start' }); // Behind a stop or a restart that is on its way, and of no effect where it works.
      void commandsDone().then(() => {
        isAsked = true;
        if (backend.isAvailable) settle(resolve);
        else if (backend.state === 'idle') settle(() => reject(stoppedError(backend)));
        else if (backend.state === 'failed') settle(() => reject(lastErrorOf(backend))); // It waits for a restart.
      });
    });
  } finally {
    backend.changeDemand({ waiters: -1 });
  }
}

/** Commands reach the charts in order, each in a microtask of its own: after one more, those before it are done. */
export function commandsDone(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(resolve));
}

/** The signal's own reason, as an error of this library. */
export function abortError(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error
    ? reason
    : new SupervisorError('ERR_STOPPED', 'The call was aborted.', { cause: reason });
}

function lastErrorOf(backend: LifeRuntime): SupervisorError {
  const failure = backend.lastError?.failure ?? {
    code: 'ERR_BACKEND_EXITED',
    message: `The backend ${backend.id} is not running.`,
  };
  return fromFailure(failure, { backend: backend.id });
}

function stoppedError(backend: LifeRuntime): SupervisorError {
  return backend.lastError
    ? lastErrorOf(backend)
    : new SupervisorError('ERR_STOPPED', `The backend ${backend.id} was stopped.`, { backend: backend.id });
}

function timeoutError(backend: LifeRuntime, timeoutMs: number): SupervisorError {
  const last: Failure | undefined =
    backend.lastError?.failure ?? backend.actor?.getSnapshot().context.lastFailure ?? undefined;
  const message = `The backend ${backend.id} was not ready within ${timeoutMs} ms (it is ${backend.state})`;
  if (!last) return new SupervisorError('ERR_OPEN_TIMEOUT', `${message}.`, { backend: backend.id });
  return fromFailure({ ...last, message: `${message}. Last error: ${last.message}` }, { backend: backend.id });
}
