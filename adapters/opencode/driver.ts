import { SupervisorError } from '../../actors/errors.ts';
import type {
  BackendDriver,
  BackendSession,
  Configured,
  Connection,
  ConnectionObserver,
  DriverEnvironment,
  DriverSession,
  DriverSessionRequest,
  DriverTurn,
  LifeObserver,
  ProcessLife,
  RecoveryPort,
  Reload,
} from '../../actors/ports.ts';
import { Demultiplexer } from './demultiplexer.ts';
import { EventConnection } from './event-connection.ts';
import { list, record } from '../json.ts';
import { addMcpServers } from './mcp-servers.ts';
import { Directories } from './directories.ts';
import { decodeLimits } from './model-limits.ts';
import { probeDirectory, probeHealth } from './readiness.ts';
import { reconcileDirectory } from './reconcile.ts';
import { ask, clientFor, credentials, type OpencodeClient, type ServerAddress, toSupervisorError } from './requests.ts';
import { probeConfiguration } from './scratch-directory.ts';
import type { ServerSource } from './server-source.ts';
import { OpencodeSession } from './session.ts';
import { defaultsOf, expectWorktree, rethrow, sessionFor, toBackendSession } from './session-requests.ts';
import { OpencodeTurn, type TurnPlace } from './turn.ts';
import { checkVoice, expectVoice } from './voice.ts';

/** What a host holds of a live opencode server. It stays readable when the process life is over; `ended` tells. */
export interface OpencodeLease {
  readonly baseUrl: string;
  readonly client: OpencodeClient;
  readonly pid: number | undefined;
  readonly version: string;
  readonly generation: number;
  /** Share of a model's context at which a host should compact. */
  readonly compactionThreshold: number;
  /** Aborted when the life is over: the lease stays readable, and leads nowhere. */
  readonly ended: AbortSignal;
  release(): void;
}

/** Limit for giving up what the server holds of a directory, in milliseconds. */
const DISPOSE_LIMIT_MS = 5_000;

/** An opencode server, whoever runs it: its events and its sessions. */
export class OpencodeDriver implements BackendDriver<OpencodeLease> {
  readonly #source: ServerSource;
  readonly #environment: DriverEnvironment;
  readonly #compactionThreshold: number;
  readonly #demultiplexer = new Demultiplexer();
  readonly #directories: Directories;
  #limits: ReadonlyMap<string, number> = new Map();
  #version = '';
  #lastSeenAt = Number.NEGATIVE_INFINITY;

  constructor(source: ServerSource, environment: DriverEnvironment, compactionThreshold: number) {
    this.#source = source;
    this.#environment = environment;
    this.#compactionThreshold = compactionThreshold;
    const { clock, logger } = environment;
    const limits = source.isOurs ? environment.pool : undefined;
    const dispose = (directory: string) => this.#disposeQuiet(directory);
    this.#directories = new Directories({ dispose, clock, logger, limits });
  }

  get recovery(): RecoveryPort | undefined {
    return this.#source.recovery;
  }

  launch(generation: number, observer: LifeObserver): ProcessLife {
    this.#directories.begin();
    const ended: LifeObserver['ended'] = (end) => {
      if (this.#source.generation === generation) this.#directories.end(); // Not where another life has begun.
      observer.ended(end);
    };
    return this.#source.launch(generation, { ...observer, ended });
  }

  async verify(signal: AbortSignal): Promise<{ version: string }> {
    const verified = await this.#source.verify(signal);
    this.#version = verified.version;
    if (this.#source.directory !== undefined) this.#directories.touch(this.#source.directory);
    return verified;
  }

  async probe(signal: AbortSignal): Promise<void> {
    this.#source.expectAlive();
    await probeHealth(this.#address(), signal);
    this.#lastSeenAt = this.#environment.clock.now();
  }

  async loadLimits(signal: AbortSignal): Promise<void> {
    const { directory } = this.#source;
    const client = clientFor(this.#address(), directory);
    const about = directory === undefined ? {} : { directory };
    this.#limits = decodeLimits(
      await ask('GET /config/providers', signal, (options) => client.config.providers(about, options)),
    );
  }

  contextLimit(providerId: string, modelId: string): number | undefined {
    return this.#limits.get(`${providerId}/${modelId}`);
  }

  configure(config: unknown): Configured {
    return this.#source.configure(config);
  }

  /** A configuration that does not work changes nothing: it is tried where nobody works. */
  async reload(signal: AbortSignal): Promise<Reload> {
    const config = await this.#source.reread();
    if (!this.#source.isRunning) return { kind: 'renewal' };
    await probeConfiguration(this.#address(), signal);
    await this.#directories.refreshAll();
    this.#source.reconfigured(config);
    return { kind: 'applied', configId: config.id };
  }

  lastSeenAt(): number {
    return this.#lastSeenAt;
  }

  lease(life: { readonly generation: number; readonly ended: AbortSignal; release(): void }): OpencodeLease {
    const address = this.#address();
    const { baseUrl } = address;
    const { pid } = this.#source;
    const compactionThreshold = this.#compactionThreshold;
    return { baseUrl, client: clientFor(address), pid, version: this.#version, compactionThreshold, ...life };
  }

  connect(
    target: { readonly directory?: string; readonly sessionId?: string },
    observer: ConnectionObserver,
  ): Connection {
    const address = this.#address();
    const { directory, sessionId } = target;
    const path = directory === undefined ? '/global/event' : `/event?directory=${encodeURIComponent(directory)}`;
    const leave = directory === undefined ? undefined : this.#directories.hold(directory);
    return new EventConnection({
      onClose: () => leave?.(),
      target: { url: `${address.baseUrl}${path}`, headers: credentials(address) },
      demultiplexer: this.#demultiplexer,
      serves: (turn) =>
        sessionId === undefined
          ? directory === undefined || turn.directory === directory
          : turn.sessionId === sessionId,
      clock: this.#environment.clock,
      logger: this.#environment.logger,
      observer,
      onBytes: () => (this.#lastSeenAt = this.#environment.clock.now()),
    });
  }

  async openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession> {
    await expectWorktree(request.directory, this.#source.isOurs);
    checkVoice(request);
    const leave = await this.#directories.enter(request.directory);
    return this.#openSession(request, signal).finally(leave);
  }

  async #openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession> {
    await probeDirectory(this.#address(), request.directory, signal);
    const client = this.#client(request.directory);
    await expectVoice(client, request.directory, request, signal).catch(
      rethrow('The models and agents could not be listed'),
    );
    const { mcpServers = [] } = request;
    await addMcpServers(client, request.directory, mcpServers, signal).catch(
      rethrow('The session could not have its MCP servers'),
    );
    const found = await sessionFor(client, request, signal);
    const defaults = await defaultsOf(client, request.directory, found, signal);
    const restored = request.resume !== undefined;
    const known = { restored, title: found.title, defaults, mcpServers };
    return new OpencodeSession(this.#placeOf(found.id, request.directory), known);
  }

  async listSessions(directory: string, signal: AbortSignal): Promise<BackendSession[]> {
    await expectWorktree(directory, this.#source.isOurs);
    const leave = await this.#directories.enter(directory);
    return this.#listSessions(directory, signal).finally(leave);
  }

  async #listSessions(directory: string, signal: AbortSignal): Promise<BackendSession[]> {
    const client = this.#client(directory);
    const sessions = await ask('GET /session', signal, (options) => client.session.list({ directory }, options)).catch(
      rethrow('The sessions could not be listed'),
    );
    return list(sessions).map((session) => toBackendSession(record(session)));
  }

  async reconcile(turns: readonly DriverTurn[], signal: AbortSignal): Promise<void> {
    const own = turns.filter((turn) => turn instanceof OpencodeTurn).filter((turn) => turn.isSent);
    const directories = [...new Set(own.map((turn) => turn.place.directory))];
    const asked = directories.map((directory) =>
      reconcileDirectory(
        own.filter((turn) => turn.place.directory === directory),
        signal,
      ),
    );
    const outcomes = await Promise.allSettled(asked);
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }): unknown => reason);
    if (lost.length > 0 && lost.length === outcomes.length)
      throw toSupervisorError(lost[0], 'The server was not to be asked what was missed');
    const unread = [...lost, ...outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))];
    for (const error of unread) {
      this.#environment.logger.warn({ err: error }, 'A session could not be asked what was missed; it is asked again.');
    }
  }

  /** [opencode] Ends everything that works in the session's directory; the server itself stays up. */
  async retire({ directory }: DriverSession, signal: AbortSignal): Promise<void> {
    await this.#dispose(directory, signal).catch(rethrow('The directory was not given up'));
  }

  spawnedSessions(): ReadonlySet<string> {
    return this.#demultiplexer.spawned;
  }

  /** Others may work there, with a client of their own: they are not cut off either. */
  async #disposeQuiet(directory: string): Promise<boolean> {
    const signal = AbortSignal.timeout(DISPOSE_LIMIT_MS);
    const client = clientFor(this.#address(), directory);
    const working = await ask('GET /session/status', signal, (options) =>
      client.session.status({ directory }, options),
    );
    if (Object.values(record(working)).some((status) => record(status)['type'] !== 'idle')) return false;
    await this.#dispose(directory, signal);
    return true;
  }

  #dispose(directory: string, signal: AbortSignal): Promise<unknown> {
    const client = clientFor(this.#address(), directory);
    return ask('POST /instance/dispose', signal, (options) => client.instance.dispose({ directory }, options));
  }

  #placeOf(sessionId: string, directory: string): TurnPlace {
    const life = { client: (of: string) => this.#client(of), generation: () => this.#source.generation };
    const { clock } = this.#environment;
    const directories = this.#directories;
    const { isOurs } = this.#source;
    return { sessionId, directory, life, isOurs, clock, demultiplexer: this.#demultiplexer, directories };
  }

  #address(): ServerAddress {
    const { address } = this.#source;
    if (address) return address;
    throw new SupervisorError('ERR_BACKEND_EXITED', 'The server is not running.', { reason: 'unreachable' });
  }

  #client(directory: string): OpencodeClient {
    const client = clientFor(this.#address(), directory);
    this.#directories.touch(directory);
    return client;
  }
}
