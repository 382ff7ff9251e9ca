import type { StreamEvent } from '../../machines/stream-setup.ts';
import type { LifecycleState } from '../contract/status.ts';
import type { Connection, ConnectionTarget } from '../ports.ts';
import type { SessionRecord } from '../session/session-record.ts';
import type { TurnRuntime } from '../turn/turn-runtime.ts';

/** The chart of a stream, as its data plane sees it. */
export interface StreamActor {
  send(event: StreamEvent): void;
  getSnapshot(): { readonly value: unknown };
}

export interface StreamRuntimeOptions {
  readonly slot: number;
  readonly key: string;
  readonly target: ConnectionTarget;
  /** Gives the stream an actor. */
  readonly open: (stream: StreamRuntime) => void;
}

/** The data plane of one event stream: its connection, and the sessions attached to it. */
export class StreamRuntime {
  readonly id: string;
  readonly slot: number;
  readonly key: string;
  readonly target: ConnectionTarget;
  readonly sessions = new Set<SessionRecord>();
  state: LifecycleState = 'idle';
  connection: Connection | undefined;
  /** Events flow: prompts may be sent. */
  isOpen = false;
  /** When its chart broke, within the intensity window; monotonic milliseconds. */
  crashes: readonly number[] = [];
  readonly #open: (stream: StreamRuntime) => void;
  #actor: StreamActor | undefined;

  constructor({ slot, key, target, open }: StreamRuntimeOptions) {
    this.id = `stream-${slot}`;
    this.slot = slot;
    this.key = key;
    this.target = target;
    this.#open = open;
  }

  get actor(): StreamActor | undefined {
    return this.#actor;
  }

  /** The running turns of the attached sessions. */
  running(): readonly TurnRuntime[] {
    return [...this.sessions].map((session) => session.running).filter((turn) => turn !== undefined);
  }

  bind(actor: StreamActor): void {
    this.#actor = actor;
  }

  /** The actor broke: what it held is closed. The next `start` makes another. */
  unbind(): void {
    this.#actor = undefined;
    this.isOpen = false;
    this.connection?.close();
    this.connection = undefined;
  }

  start(): void {
    if (this.#actor) this.#send({ type: 'stream.start' });
    else this.#open(this);
  }

  /** The server is to be asked about the running turns, soon. */
  audit(): void {
    this.#send({ type: 'stream.audit' });
  }

  /** In order, and never from within an action of another chart: charts are not reentered. */
  #send(event: StreamEvent): void {
    queueMicrotask(() => this.#actor?.send(event));
  }
}
