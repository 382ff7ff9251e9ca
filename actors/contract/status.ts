/** The states that every backend chart has. */
export type LifecycleState = 'idle' | 'starting' | 'healthy' | 'unhealthy' | 'recovering' | 'failed' | 'stopping';

/** A step of the recovery ladder. */
export type RecoveryStep = 'restart' | 'capture-diagnostics' | 'rollback-config' | 'seed-config';

/** The last failure of something, for people: `at` is an ISO time. */
export interface LastError {
  readonly code: string;
  readonly message: string;
  readonly at: string;
}

/** One process of a backend. `since` is an ISO time. */
export interface InstanceStatus {
  readonly pid?: number;
  readonly state: LifecycleState;
  readonly detail: string;
  readonly since: string;
  readonly restarts: number;
  readonly generation: number;
  readonly chatId?: string;
  readonly directory?: string;
  readonly lastError?: LastError;
}

/** One backend, as plain JSON without secrets. */
export interface BackendStatus {
  readonly id: string;
  readonly kind: string;
  readonly mode: 'managed' | 'external';
  readonly state: LifecycleState;
  /** The state inside the state, such as `recovering.backingOff`. */
  readonly detail: string;
  /** Since when the state holds, as an ISO time. */
  readonly since: string;
  /** Whether a turn is running. */
  readonly busy: boolean;
  readonly restarts: number;
  readonly consecutiveFailures: number;
  readonly sessions: number;
  readonly pid?: number;
  readonly port?: number;
  readonly version?: string;
  readonly instances: readonly InstanceStatus[];
  readonly lastError?: LastError;
  readonly recovery?: {
    readonly active?: RecoveryStep;
    readonly attempted: readonly RecoveryStep[];
    readonly next?: RecoveryStep;
  };
}

/** What a session's backend can do; everything else rejects with `ERR_UNSUPPORTED`. */
export interface SessionCapabilities {
  readonly resume: boolean;
  readonly fork: boolean;
  readonly listSessions: boolean;
  readonly setModel: boolean;
  readonly setMode: boolean;
  readonly images: boolean;
  readonly files: boolean;
  readonly mcpServers: boolean;
  readonly questions: boolean;
  readonly deleteSession: boolean;
}

/** Something that can be chosen: `id` is what `setMode` and `setModel` take. */
export interface Choice {
  readonly id: string;
  readonly name: string;
  readonly description?: string;
}

/** What can be chosen in a session, as far as its agent tells. [opencode] Nothing is told: `setModel` and `setMode` know. */
export interface SessionChoices {
  readonly models: readonly Choice[];
  readonly modes: readonly Choice[];
  /** What a prompt may begin with, as `/name`. */
  readonly commands: readonly { readonly name: string; readonly description?: string }[];
}

/** What an agent tells of a session beside its turns; what it does not tell is absent. */
export interface SessionMetadata {
  readonly title?: string;
  readonly model?: string;
  readonly mode?: string;
  /** Tokens in the model's context, and how many it can hold. */
  readonly context?: { readonly tokens: number; readonly maxTokens?: number };
}

/** One session, as plain JSON. */
export interface SessionStatus extends SessionMetadata {
  readonly id: string;
  readonly chatId: string;
  readonly backend: string;
  readonly directory: string;
  readonly agentSessionId: string;
  /** The state of the stream that carries its events. */
  readonly state: LifecycleState;
  readonly detail: string;
  readonly generation: number;
  readonly queued: number;
  readonly running?: string;
  readonly agent?: string;
  readonly capabilities: SessionCapabilities;
  readonly restored?: 'restored' | 'replaced';
}

export interface SupervisorStatus {
  readonly state: 'running' | 'draining' | 'stopped';
  readonly backends: Readonly<Record<string, BackendStatus>>;
  readonly sessions: readonly SessionStatus[];
}
