import type { BackendDefinition, ServerDefinition } from '../ports.ts';
import type { PermissionDecision, PermissionRequest, QuestionAnswer, QuestionRequest } from './events.ts';
import type { OpenSessionOptions, PermissionHandler, QuestionHandler, Session, TurnResult } from './session.ts';
import type { BackendStatus, LifecycleState, RecoveryStep, SupervisorStatus } from './status.ts';
import type { SessionStore } from './store.ts';

/** Anything shaped like pino. */
export interface Logger {
  debug(data: object, message: string): void;
  info(data: object, message: string): void;
  warn(data: object, message: string): void;
  error(data: object, message: string): void;
}

/** Time, for tests and simulation. `now` is monotonic milliseconds, `wallNow` the time of day in milliseconds since 1970. */
export interface Clock {
  now(): number;
  wallNow(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** Limits of turns, in milliseconds, counts and bytes. */
export interface TurnOptions {
  /** No event for this long ends the turn. Default 300_000. */
  inactivityTimeoutMs?: number;
  /** Longest turn. Default 3_600_000. */
  deadlineMs?: number;
  /** Longest wait for a cancel to take. Default 15_000. */
  cancelTimeoutMs?: number;
  /** An unanswered permission or question is rejected after this. Default 300_000. */
  decisionTimeoutMs?: number;
  /** Turns waiting in one session. Default 32. */
  maxQueued?: number;
  /** Events kept for the readers of a turn. Default 10_000. */
  maxBufferedEvents?: number;
  /** Text kept of a turn. Default 8 MiB. */
  maxTextBytes?: number;
}

/** What is kept warm between turns: processes of agents, and directories on opencode servers. */
export interface PoolOptions {
  /** Agent processes at once, of all backends; and directories that one server holds. What is in use is never given up. Default 8. */
  maxWarm?: number;
  /** What nobody used for this long is let go, in milliseconds; its sessions go on with their next prompt. Default 600_000. */
  idleTtlMs?: number;
  /** How often it is looked for that, in milliseconds. Default 60_000. */
  sweepMs?: number;
  /** Agents that may wait for a place when all are in use, each for `openTimeoutMs`. Default 64. */
  maxWaiting?: number;
}

export type Backends = Record<string, BackendDefinition>;

/** The lease type of a backend definition. */
export type LeaseOf<D> = D extends ServerDefinition<infer L> ? L : never;

export interface SupervisorOptions<B extends Backends = Backends> {
  backends: B;
  /** Answers an agent's permission request. Default: reject. Nothing is ever allowed because nobody answered. */
  onPermission?: PermissionHandler;
  /** Answers an agent's question. Default: decline. */
  onQuestion?: QuestionHandler;
  pool?: PoolOptions;
  turn?: TurnOptions;
  /** Longest wait of `openSession` and `acquire`, in milliseconds. Default 60_000. */
  openTimeoutMs?: number;
  /** Where sessions are remembered, to be continued by another host. Default `memoryStore()`. */
  store?: SessionStore;
  /** Where files are kept that outlive the host: absolute. Default `$XDG_STATE_HOME/agent-supervisor`. */
  stateDirectory?: string;
  /**
   * Whether something real may be started where this process runs inside a supervised agent itself. Default false: then
   * a start fails with `ERR_NESTED_SUPERVISION`.
   */
  allowNested?: boolean;
  logger?: Logger;
  clock?: Clock;
  /** A number in [0, 1), for jitter. Default `Math.random`. */
  random?: () => number;
}

/** A backend, instance, stream or session changed its lifecycle state. `at` is an ISO time. */
export interface TransitionEvent {
  readonly kind: 'backend' | 'instance' | 'stream' | 'supervisor';
  readonly id: string;
  readonly backend?: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly at: string;
}

export interface SupervisorEvents {
  transition: TransitionEvent;
  session: {
    /** `interrupted`: its running turn was accepted, and cut off by the end of its process. Prompt to continue it. */
    readonly type: 'created' | 'restored' | 'replaced' | 'interrupted' | 'evicted' | 'closed';
    readonly sessionId: string;
    readonly chatId: string;
    readonly backend: string;
    /** The turn that was cut off. */
    readonly turnId?: string;
  };
  turn:
    | { readonly type: 'started'; readonly turnId: string; readonly sessionId: string; readonly backend: string }
    | {
        readonly type: 'settled';
        readonly turnId: string;
        readonly sessionId: string;
        readonly backend: string;
        readonly result: TurnResult;
      };
  recovery: {
    readonly backend: string;
    readonly step: RecoveryStep;
    /** Whether it works again. A rung that could do nothing has failed, too. */
    readonly outcome: 'healthy' | 'failed';
    /** What the rung did, or why it could not. */
    readonly message: string;
    /** The file that the rung wrote: the diagnostics, or the copy of the configuration that it replaced. */
    readonly path?: string;
    /** Where the configuration was touched: the diagnostics that were written before. */
    readonly diagnostics?: string;
  };
  decision: {
    readonly type: 'asked' | 'decided' | 'expired';
    readonly request: PermissionRequest | QuestionRequest;
    readonly answer?: PermissionDecision | QuestionAnswer;
  };
  warning: { readonly code: string; readonly message: string; readonly backend?: string; readonly sessionId?: string };
}

/** A session that a backend keeps, whether this supervisor opened it or not. */
export interface BackendSession {
  readonly id: string;
  readonly title?: string;
  readonly directory?: string;
  readonly updatedAt?: string;
}

export interface BackendHandle<L = unknown> {
  /** Never rejects: a failed start is a status. */
  start(): Promise<BackendStatus>;
  /** Starts it if need be, checks that it is alive now, hands out a lease. Rejects at `openTimeoutMs` with the last start error. */
  acquire(options?: { signal?: AbortSignal }): Promise<L>;
  /** Queued, never lost. Resolves to the status it ended in. */
  restart(reason?: string): Promise<BackendStatus>;
  /**
   * Takes over a configuration, or reads files again that have changed, without interrupting a turn: where the server can,
   * directory by directory; else by a restart as soon as no turn runs. Rejects with `ERR_CONFIG_INVALID`, changing nothing,
   * for files that do not work, `ERR_INVALID_OPTION` for what is no configuration, and `ERR_UNSUPPORTED` where there is
   * nothing to configure.
   */
  reload(config?: unknown): Promise<BackendStatus>;
  /** Never dropped, whatever else runs; what was asked for before and has not begun is given up. */
  stop(): Promise<BackendStatus>;
  checkNow(): Promise<BackendStatus>;
  status(): BackendStatus;
  listSessions(options: { directory: string }): Promise<BackendSession[]>;
  /** [opencode] Tokens that a model can hold, once the server has told. */
  contextLimit(providerId: string, modelId: string): number | undefined;
  /** The agent session ids of the subagents seen so far. */
  spawnedSessions(): ReadonlySet<string>;
}

export interface Supervisor<B extends Backends = Backends> extends AsyncDisposable {
  /** Opening an open (chatId, backend) returns the same session, reference-counted; another `directory` re-opens it there once quiet. */
  openSession(options: OpenSessionOptions<keyof B & string>): Promise<Session>;
  backend<K extends keyof B & string>(id: K): BackendHandle<LeaseOf<B[K]>>;
  /** Plain JSON, safe for a health endpoint. */
  status(): SupervisorStatus;
  pendingDecisions(): readonly (PermissionRequest | QuestionRequest)[];
  /** False: no longer pending. */
  decide(requestId: string, answer: PermissionDecision | QuestionAnswer): boolean;
  /** Returns the function that removes the listener. A listener that throws is logged. */
  on<K extends keyof SupervisorEvents>(event: K, listener: (payload: SupervisorEvents[K]) => void): () => void;
  /** Refuses new work, cancels what still runs after `graceMs` (5_000), stops children in reverse start order. A second call escalates. */
  stop(options?: { graceMs?: number }): Promise<void>;
}

export type { LifecycleState };
