import type { Clock, Connection, ConnectionObserver, Failure, Logger } from '../../actors/ports.ts';
import { decodeEvent, type OpencodeEvent } from './decode-event.ts';
import type { Demultiplexer } from './demultiplexer.ts';
import { EventStream, type EventStreamTarget } from './event-stream.ts';
import type { TurnTranslator } from './turn-translator.ts';

/** Events held back while the server is asked what was missed; more than this and the connection is replaced. */
const MAX_HELD_EVENTS = 20_000;

/** `/global/event` says everything twice; the second telling stands early in the frame. */
const SYNC_MARK = '"payload":{"type":"sync"';
const SYNC_MARK_WITHIN = 600;

export interface EventConnectionOptions {
  readonly target: EventStreamTarget;
  readonly demultiplexer: Demultiplexer;
  /** Which turns this connection serves, where several connections see the same events. */
  readonly serves: (turn: TurnTranslator) => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: ConnectionObserver;
  readonly onBytes: () => void;
  /** It is closed; may come more than once. */
  readonly onClose: () => void;
}

/** One connection to a server's events: decodes them, holds them back until released, and leads them to their turns. */
export class EventConnection implements Connection {
  readonly #options: EventConnectionOptions;
  readonly #stream: EventStream;
  #held: OpencodeEvent[] | undefined = [];
  #lastSeenAt: number;
  #events = 0;
  #heartbeatAt: number | undefined;
  #heartbeatMs: number | undefined;

  constructor(options: EventConnectionOptions) {
    this.#options = options;
    this.#lastSeenAt = options.clock.now();
    options.demultiplexer.markGap(options.serves);
    this.#stream = new EventStream(options.target, {
      connected: () => options.observer.connected(),
      bytes: () => this.#onBytes(),
      event: (data) => this.#onData(data),
      ended: () => options.observer.ended(this.isProductive()),
      failed: (failure) => options.observer.failed(this.isProductive(), failure),
    });
  }

  lastSeenAt(): number {
    return this.#lastSeenAt;
  }

  heartbeatMs(): number | undefined {
    return this.#heartbeatMs;
  }

  isProductive(): boolean {
    return this.#events > 1;
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const event of held) this.#dispatch(event);
  }

  close(): void {
    this.#held = undefined;
    this.#stream.close();
    this.#options.onClose();
  }

  #onBytes(): void {
    this.#lastSeenAt = this.#options.clock.now();
    this.#options.onBytes();
  }

  #onData(data: string): void {
    this.#events += 1;
    if (this.#events === 1) this.#options.observer.opened();
    if (data.slice(0, SYNC_MARK_WITHIN).includes(SYNC_MARK)) return;
    const event = this.#decode(data);
    if (event.type === 'heartbeat') this.#learnHeartbeat();
    if (this.#held) this.#hold(event);
    else this.#dispatch(event);
  }

  #decode(data: string): OpencodeEvent {
    try {
      return decodeEvent(JSON.parse(data));
    } catch (error) {
      this.#options.logger.warn({ err: error, bytes: data.length }, 'An event is not JSON; it is skipped.');
      return { type: 'ignored' };
    }
  }

  #hold(event: OpencodeEvent): void {
    if (!this.#held || !this.#options.demultiplexer.hasTurns) return;
    this.#held.push(event);
    if (this.#held.length <= MAX_HELD_EVENTS) return;
    this.close();
    this.#options.observer.failed(true, tooManyHeld());
  }

  #dispatch(event: OpencodeEvent): void {
    const { demultiplexer, serves, logger } = this.#options;
    const owner = demultiplexer.ownerOf(event);
    if (!owner || !serves(owner)) return;
    try {
      demultiplexer.dispatch(event);
    } catch (error) {
      logger.error(
        { err: error, type: event.type },
        'An event could not be applied; it is skipped, and the stream goes on.',
      );
    }
  }

  #learnHeartbeat(): void {
    const now = this.#options.clock.now();
    if (this.#heartbeatAt !== undefined) this.#heartbeatMs = now - this.#heartbeatAt;
    this.#heartbeatAt = now;
  }
}

function tooManyHeld(): Failure {
  const message = `More than ${MAX_HELD_EVENTS} events came while the server was asked what was missed.`;
  return { code: 'ERR_STREAM_FAILED', reason: 'held-too-many', message };
}
