import type { Backend } from '../backend/backend.ts';
import type { TurnEntry } from '../registry.ts';
import { ServerBackend } from '../server/server-backend.ts';

/** What runs when the host wakes. */
export interface Running {
  readonly backends: Iterable<Backend>;
  readonly turns: Iterable<TurnEntry>;
}

/**
 * Checks everything that runs, once: that it was silent while the host slept says nothing, and what it was connected with
 * may be gone. Of the turns of a server its streams ask, all at once.
 */
export function checkEverything({ backends, turns }: Running): void {
  for (const { turn } of turns) turn.touch();
  for (const backend of backends) {
    backend.send({ type: 'life.woke' });
    if (backend instanceof ServerBackend) for (const stream of backend.streams.values()) stream.audit();
  }
}
