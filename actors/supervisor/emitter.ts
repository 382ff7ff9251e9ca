import { messageOf } from '../errors.ts';
import type { Logger, SupervisorEvents } from '../contract/supervisor.ts';

type Listener = (payload: never) => void;

/**
 * Tells the host's listeners, in order, and when what happened is done: whatever a listener asks for then, it sees the new
 * state of everything. One that throws is logged and disturbs nobody.
 */
export class Emitter {
  readonly #listeners = new Map<keyof SupervisorEvents, Set<Listener>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  on<K extends keyof SupervisorEvents>(event: K, listener: (payload: SupervisorEvents[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  emit<K extends keyof SupervisorEvents>(event: K, payload: SupervisorEvents[K]): void {
    queueMicrotask(() => this.#tell(event, payload));
  }

  #tell<K extends keyof SupervisorEvents>(event: K, payload: SupervisorEvents[K]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        const returned: unknown = (listener as (payload: SupervisorEvents[K]) => unknown)(payload);
        if (returned instanceof Promise) returned.catch((error: unknown) => this.#report(event, error));
      } catch (error) {
        this.#report(event, error);
      }
    }
  }

  #report(event: string, error: unknown): void {
    this.#logger.error({ err: error, event }, `A listener for "${event}" failed: ${messageOf(error)}`);
  }
}
