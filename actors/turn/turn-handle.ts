import type { AgentEvent } from '../contract/events.ts';
import type { Turn, TurnResult } from '../contract/session.ts';
import type { TurnRuntime } from './turn-runtime.ts';

/** What the host holds of a turn. */
export class TurnHandle implements Turn {
  readonly id: string;
  readonly result: Promise<TurnResult>;
  readonly #runtime: TurnRuntime;

  constructor(runtime: TurnRuntime) {
    this.id = runtime.id;
    this.result = runtime.result;
    this.#runtime = runtime;
  }

  [Symbol.asyncIterator](): AsyncIterator<AgentEvent, undefined> {
    return this.#runtime.feed[Symbol.asyncIterator]();
  }

  async cancel(): Promise<void> {
    this.#runtime.send({ type: 'turn.cancel' });
    await this.result;
  }
}
