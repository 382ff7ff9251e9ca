import type { ServerEvent } from '../../machines/life-types.ts';
import { awaitHealthy } from '../backend/await-healthy.ts';
import type { Backend, OpenCircumstances, RequestLimits, SessionWork } from '../backend/backend.ts';
import { LifeRuntime, type LifeRuntimeOptions } from '../backend/life-runtime.ts';
import type { Carrier } from '../carrier.ts';
import { withLimit } from '../clock-loop.ts';
import type { BackendStatus } from '../contract/status.ts';
import type {
  BackendDriver,
  ConnectionTarget,
  DriverSession,
  DriverSessionRequest,
  ServerDefinition,
} from '../ports.ts';
import type { SessionRecord } from '../session/session-record.ts';
import { StreamRuntime } from '../stream/stream-runtime.ts';
import type { StepNote } from './recovery-actors.ts';
import { ServerCarrier } from './server-carrier.ts';
import { serverStatus } from './server-status.ts';

export interface ServerBackendOptions extends LifeRuntimeOptions {
  readonly definition: ServerDefinition<unknown>;
  readonly driver: BackendDriver<unknown>;
  /** Sends a command to the backend's chart. */
  readonly command: (command: ServerEvent) => void;
}

/** Streams in one group of actors. */
const STREAMS_PER_GROUP = 60;

/** A backend that is one server: its driver, its streams, its sessions, and who waits for it. */
export class ServerBackend extends LifeRuntime implements Backend {
  readonly definition: ServerDefinition<unknown>;
  readonly driver: BackendDriver<unknown>;
  readonly streams = new Map<string, StreamRuntime>();
  /** The life whose models' limits are known. */
  limitsOf: number | undefined;
  /** What the last rung of the ladder did, until its outcome is told. */
  stepNote: StepNote | undefined;
  readonly #carriers = new WeakMap<StreamRuntime, Carrier>();
  readonly #byId = new Map<string, StreamRuntime>();
  readonly #command: (command: ServerEvent) => void;

  constructor(options: ServerBackendOptions) {
    super(options);
    this.definition = options.definition;
    this.driver = options.driver;
    this.#command = options.command;
  }

  protected override get overMessage(): string {
    return this.definition.mode === 'external' ? `The connection to ${this.id} is over.` : super.overMessage;
  }

  send(command: ServerEvent): void {
    this.#command(command);
  }

  status(): BackendStatus {
    return serverStatus(this);
  }

  async open(request: DriverSessionRequest, { timeoutMs, signal }: OpenCircumstances): Promise<DriverSession> {
    const startedAt = this.clock.now();
    await awaitHealthy(this, { clock: this.clock, timeoutMs, signal });
    const leftMs = Math.max(1, timeoutMs - Math.round(this.clock.now() - startedAt));
    return withLimit(this.clock, leftMs, signal ?? never(), (limited) => this.driver.openSession(request, limited));
  }

  /** [opencode] A session costs nothing while nobody prompts. */
  discard(): void {}

  async request<T>({ driver }: SessionRecord, limits: RequestLimits, work: SessionWork<T>): Promise<T> {
    const { startMs, requestMs } = limits;
    if (startMs !== undefined) await awaitHealthy(this, { clock: this.clock, timeoutMs: startMs });
    return withLimit(this.clock, requestMs, this.lifeEnded, (signal) => work(driver, signal));
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

const never = (): AbortSignal => new AbortController().signal;
