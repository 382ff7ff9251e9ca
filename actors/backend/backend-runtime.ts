import type { Failure } from '../../machines/policies/failure-class.ts';
import type { LifeContext, ServerEvent } from '../../machines/life-setup.ts';
import type { LifecycleState } from '../contract/status.ts';
import type { Carrier } from '../carrier.ts';
import type { Clock, Logger } from '../contract/supervisor.ts';
import type { BackendDefinition, BackendDriver, ConnectionTarget } from '../ports.ts';
import type { Scope } from '../scope.ts';
import type { SessionRecord } from '../session/session-record.ts';
import { StreamRuntime } from '../stream/stream-runtime.ts';
import { ServerCarrier } from './server-carrier.ts';

/** The chart of a server, as its data plane sees it. */
export interface ServerActor {
  getSnapshot(): { readonly value: unknown; readonly context: LifeContext };
}

/** A change of a backend's top-level state. */
export interface StateChange {
  readonly from: LifecycleState;
  readonly to: LifecycleState;
  readonly reason: string;
  readonly failure: Failure | null;
}

export interface BackendRuntimeOptions {
  readonly id: string;
  readonly definition: BackendDefinition<unknown>;
  readonly driver: BackendDriver<unknown>;
  readonly scope: Scope;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Sends a command to the backend's chart. */
  readonly command: (command: ServerEvent) => void;
}

/** Streams in one group of actors. */
const STREAMS_PER_GROUP = 60;

/** One backend's data plane: its driver, its streams, its sessions, and who waits for it. */
export class BackendRuntime {
  readonly id: string;
  readonly definition: BackendDefinition<unknown>;
  readonly driver: BackendDriver<unknown>;
  readonly scope: Scope;
  readonly sessions = new Set<SessionRecord>();
  readonly streams = new Map<string, StreamRuntime>();
  state: LifecycleState = 'idle';
  since: number;
  lastError: { readonly failure: Failure; readonly at: number } | undefined;
  /** The chart was given up; no actor runs for this backend any more. */
  abandoned = false;
  #actor: ServerActor | undefined;
  #turns = 0;
  readonly #carriers = new WeakMap<StreamRuntime, Carrier>();
  readonly #byId = new Map<string, StreamRuntime>();
  #waiters = 0;
  readonly #options: BackendRuntimeOptions;
  readonly #listeners = new Set<(change: StateChange) => void>();
  readonly #checks = new Set<() => void>();
  #life = new AbortController();

  constructor(options: BackendRuntimeOptions) {
    this.#options = options;
    this.id = options.id;
    this.definition = options.definition;
    this.driver = options.driver;
    this.scope = options.scope;
    this.since = options.clock.wallNow();
  }

  get isAvailable(): boolean {
    return this.state === 'healthy' || this.state === 'unhealthy';
  }

  /** Aborted when the current process life ends. */
  get lifeEnded(): AbortSignal {
    return this.#life.signal;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get logger(): Logger {
    return this.#options.logger;
  }

  get actor(): ServerActor | undefined {
    return this.#actor;
  }

  get turns(): number {
    return this.#turns;
  }

  bind(actor: ServerActor): void {
    this.#actor = actor;
  }

  send(command: ServerEvent): void {
    this.#options.command(command);
  }

  /** Calls the listener on every change of the top-level state. Returns the function that ends it. */
  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the next health check was judged, or can no longer be made. */
  nextCheck(): Promise<void> {
    return new Promise((resolve) => this.#checks.add(resolve));
  }

  /** A health check was judged. */
  checked(): void {
    const waiting = [...this.#checks];
    this.#checks.clear();
    for (const resolve of waiting) resolve();
  }

  /** The chart entered a top-level state. */
  changed(to: LifecycleState, reason: string, failure: Failure | null): StateChange {
    const change: StateChange = { from: this.state, to, reason, failure };
    this.state = to;
    this.since = this.#options.clock.wallNow();
    if (failure) this.lastError = { failure, at: this.since };
    else if (to === 'healthy') this.lastError = undefined;
    for (const listener of [...this.#listeners]) listener(change);
    if (!this.isAvailable) this.checked();
    return change;
  }

  /** The process life is over: its turns learn it, and so do the holders of its leases. */
  lifeOver(): void {
    this.#life.abort();
    this.#life = new AbortController();
    const at = this.#options.clock.now();
    for (const session of this.sessions) session.tellRunning({ type: 'backend.exited', at });
  }

  /** The backend gave up, or was stopped: whoever waits for it waits in vain. */
  failTurns(failure: Failure): void {
    const at = this.#options.clock.now();
    for (const session of this.sessions) session.tellRunning({ type: 'backend.failed', at, failure });
  }

  changeDemand({ turns = 0, waiters = 0 }: { readonly turns?: number; readonly waiters?: number }): void {
    this.#turns += turns;
    this.#waiters += waiters;
    this.send({ type: 'life.demandChanged', turns: this.#turns, waiters: this.#waiters });
  }

  /** The stream that carries a session's events; made where it is the first. */
  streamFor(sessionId: string, directory: string): StreamRuntime {
    const { key, target } = placeOf(this.definition.settings.stream.scope, sessionId, directory);
    const known = this.streams.get(key);
    if (known) return known;
    const stream = new StreamRuntime({
      slot: this.#freeSlot(),
      key,
      target,
      open: (opened) => this.#openStream(opened),
    });
    this.streams.set(key, stream);
    this.#byId.set(stream.id, stream);
    this.#openStream(stream);
    return stream;
  }

  /** One for each stream. */
  carrierOf(stream: StreamRuntime): Carrier {
    const known = this.#carriers.get(stream) ?? new ServerCarrier(this, stream);
    this.#carriers.set(stream, known);
    return known;
  }

  /** The session's events come over a stream from now on. */
  attach(session: SessionRecord): void {
    const stream = this.streamFor(session.driver.agentSessionId, session.driver.directory);
    stream.sessions.add(session);
    session.carrier = this.carrierOf(stream);
  }

  /** The session no longer needs its stream; the last one closes it, unless it is the server's own. */
  detach(session: SessionRecord): void {
    if (!(session.carrier instanceof ServerCarrier)) return;
    const { stream } = session.carrier;
    stream.sessions.delete(session);
    if (stream.sessions.size > 0 || this.definition.settings.stream.scope === 'server') return;
    this.streams.delete(stream.key);
    this.send({ type: 'server.closeStream', groupId: groupOf(stream), streamId: stream.id });
  }

  /** Also one that is being closed: its actor may still ask for it. */
  streamById(streamId: string): StreamRuntime | undefined {
    return this.#byId.get(streamId);
  }

  #openStream(stream: StreamRuntime): void {
    const { scope: _, stallMs: __, ...settings } = this.definition.settings.stream;
    const input = { backendId: this.id, streamId: stream.id, ...settings };
    this.send({ type: 'server.openStream', groupId: groupOf(stream), streamId: stream.id, input });
  }

  #freeSlot(): number {
    const taken = new Set([...this.streams.values()].map((stream) => stream.slot));
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    return slot;
  }
}

const groupOf = ({ slot }: StreamRuntime): string => `streams-${Math.floor(slot / STREAMS_PER_GROUP)}`;

function placeOf(scope: string, sessionId: string, directory: string): { key: string; target: ConnectionTarget } {
  if (scope === 'server') return { key: 'server', target: {} };
  if (scope === 'directory') return { key: directory, target: { directory } };
  return { key: sessionId, target: { directory, sessionId } };
}
