import type { Failure } from '../../machines/policies/failure-class.ts';
import type { LifeSettings, StreamSettings } from '../../machines/settings.ts';
import type { BackendSession, Clock, Logger, SupervisorEvents } from '../contract/supervisor.ts';
import type { RecoveryPort } from './recovery.ts';
import type { DriverSession, DriverSessionRequest, DriverTurn } from './sessions.ts';

/** Which sessions share one connection to the server's events. */
export type StreamScope = 'server' | 'directory' | 'session';

/** Settings of a backend's charts, resolved: nothing is optional but what has no default. */
export interface BackendSettings {
  readonly server: LifeSettings;
  readonly stream: StreamSettings & {
    readonly scope: StreamScope;
    /** Silence that means a stall, in milliseconds; absent: 25 s or 2.5 learned heartbeats. */
    readonly stallMs?: number;
  };
}

/** A backend that is one server; `L` is what a host gets to hold of it. */
export interface ServerDefinition<L> {
  readonly runs: 'server';
  readonly kind: string;
  readonly mode: 'managed' | 'external';
  readonly settings: BackendSettings;
  createDriver(environment: DriverEnvironment): BackendDriver<L>;
}

/** Settings of a backend that is a pool of agents, resolved. */
export interface AgentPoolSettings {
  readonly life: LifeSettings;
  /** Whether each conversation has a process of its own, or those of a directory share one. */
  readonly share: 'session' | 'directory';
}

/** A backend that is as many agent processes as it has conversations, or directories. */
export interface AgentDefinition {
  readonly runs: 'agents';
  readonly kind: string;
  readonly mode: 'managed';
  readonly settings: AgentPoolSettings;
  createDriver(environment: DriverEnvironment): AgentDriver;
}

/** What `opencode()` and its like return: how to make a driver, and how its charts are to behave. */
export type BackendDefinition<L = unknown> = ServerDefinition<L> | AgentDefinition;

/** What a driver gets from its supervisor. */
export interface DriverEnvironment {
  readonly backendId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells the host what it should look at; nothing stops for it. */
  readonly warn: (warning: SupervisorEvents['warning']) => void;
  /** How much may be kept warm that nobody uses: counts and milliseconds. */
  readonly pool: { readonly maxWarm: number; readonly idleTtlMs: number; readonly sweepMs: number };
  /** Where files are kept that outlive the host; absent: the user's usual place. */
  readonly stateDirectory: string | undefined;
  /** Whether something real may be started inside a supervised child. */
  readonly allowNested: boolean;
}

/** A configuration that a host gave. */
export interface Configured {
  /** Tells contents apart. */
  readonly configId: string;
  /** The running life has another one. */
  readonly isNew: boolean;
}

/** What became of configuration files that were read again. */
export type Reload =
  /** The running server takes it over, directory by directory, as they become quiet. */
  | { readonly kind: 'applied'; readonly configId: string | null }
  /** It is read by the next process life. */
  | { readonly kind: 'renewal' };

/** One backend's way of doing things. It holds no policy: it reports facts and obeys. */
export interface BackendDriver<L> {
  /** Begins a process life. Every life ends with exactly one `ended`, whatever happens. */
  launch(generation: number, observer: LifeObserver): ProcessLife;
  /** Proves that the server is ours and works. Rejects with a `SupervisorError`. */
  verify(signal: AbortSignal): Promise<{ version: string }>;
  /** Whether the server answers now. Rejects with the reason. */
  probe(signal: AbortSignal): Promise<void>;
  /** When anything was last heard from the server, on the clock's monotonic time. */
  lastSeenAt(): number;
  /** What a host gets to hold of the current life. */
  lease(life: { readonly generation: number; readonly ended: AbortSignal; release(): void }): L;
  /** Connects to events: of the whole server, of a directory, or of one session in it. Held back until `release`. */
  connect(target: ConnectionTarget, observer: ConnectionObserver): Connection;
  openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession>;
  listSessions(directory: string, signal: AbortSignal): Promise<BackendSession[]>;
  /** Asks the server about running turns and hands the answers to their sinks. */
  reconcile(turns: readonly DriverTurn[], signal: AbortSignal): Promise<void>;
  /** What runs the session ignored a cancel: ends whatever still works on it. */
  retire(session: DriverSession, signal: AbortSignal): Promise<void>;
  /** Agent session ids of the subagents seen. */
  spawnedSessions(): ReadonlySet<string>;
  /** Another configuration, from the next life on. Throws `ERR_INVALID_OPTION`, or `ERR_UNSUPPORTED`. */
  configure(config: unknown): Configured;
  /** Reads its files again. Rejects where they do not work, or there are none of ours: then nothing has changed. */
  reload(signal: AbortSignal): Promise<Reload>;
  /** Learns how much the models of the current life can hold. */
  loadLimits(signal: AbortSignal): Promise<void>;
  /** Tokens that a model can hold, where that is known. */
  contextLimit(providerId: string, modelId: string): number | undefined;
  /** Absent where there is nothing of ours to recover. */
  readonly recovery: RecoveryPort | undefined;
}

/** One kind of agent, and how to run it. It holds no policy: it reports facts and obeys. */
export interface AgentDriver {
  /** Begins a process life in a directory. Every life ends with exactly one `ended`, whatever happens. */
  launch(directory: string, generation: number, observer: AgentLifeObserver): AgentLife;
}

/** One process life of an agent, and the conversation with it. */
export interface AgentLife extends ProcessLife {
  /** Agrees on the protocol. Rejects with a `SupervisorError`. */
  handshake(signal: AbortSignal): Promise<{ readonly version: string | null }>;
  /** Whether the agent answers now. Rejects with the reason. */
  probe(signal: AbortSignal): Promise<void>;
  /** When anything was last heard from the agent, on the clock's monotonic time. */
  lastSeenAt(): number;
  /** Whether there is somebody at the other end: it ends before the life does. */
  readonly isConnected: boolean;
  openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession>;
  /** The sessions of a directory that the agent keeps. */
  listSessions(directory: string, signal: AbortSignal): Promise<BackendSession[]>;
  /** Opens a session of an earlier life again: continued where the agent can, anew otherwise. */
  restoreSession(session: DriverSession, signal: AbortSignal): Promise<'restored' | 'replaced'>;
}

/** Told about one process life of an agent; `ended` may come at any time, once. */
export interface AgentLifeObserver {
  spawned(pid: number): void;
  /** `survivors` are the pids that could not be ended. */
  ended(end: { readonly failure: Failure; readonly stderrTail: string; readonly survivors: readonly number[] }): void;
}

/** Told about one process life of a server, in this order; `ended` may come at any time, once. */
export interface LifeObserver extends AgentLifeObserver {
  /** `configId` tells configurations apart by their content; null where there is none of ours. */
  prepared(port: number, configId: string | null): void;
  listening(port: number): void;
}

export interface ProcessLife {
  /** Ends the process by the stop ladder; `ended` follows. Calling it again changes nothing. */
  stop(): void;
  /** Ends the process at once; `ended` follows. */
  kill(): void;
  /** Kills whatever of this life is left, and resolves when nothing is. */
  release(): Promise<void>;
}

/** What a connection is for; nothing named: the whole server. */
export interface ConnectionTarget {
  readonly directory?: string;
  readonly sessionId?: string;
}

/** `productive`: the connection delivered more than its greeting. */
export interface ConnectionObserver {
  connected(): void;
  /** The first event came. */
  opened(): void;
  ended(productive: boolean): void;
  failed(productive: boolean, failure: Failure): void;
}

export interface Connection {
  /** Applies what was held back; from now on events go straight to their turns. */
  release(): void;
  close(): void;
  lastSeenAt(): number;
  /** The learned pause between heartbeats, in milliseconds. */
  heartbeatMs(): number | undefined;
  isProductive(): boolean;
}
