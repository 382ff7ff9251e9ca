import type { RetryPolicy } from './policies/backoff.ts';
import type { RecoveryStep } from './policies/recovery-ladder.ts';
import type { RestartPolicy } from './policies/restart-policy.ts';

/** How often and how patiently a backend is checked. */
export interface HealthSchedule {
  /** Pause between the end of a check and the next one, in milliseconds. */
  readonly intervalMs: number;
  /** A check that takes longer has failed, in milliseconds. */
  readonly timeoutMs: number;
}

/** How the health of a server is judged. */
export interface HealthSettings extends HealthSchedule {
  /** Failed checks in a row that end the life of an idle server. */
  readonly failureThreshold: number;
  /** How long a server with a running turn may fail its checks, in milliseconds. */
  readonly busyGraceMs: number;
}

/** What is tried against a backend that does not work; milliseconds unless named otherwise. */
export interface RecoverySettings {
  readonly steps: readonly RecoveryStep[];
  /** A configuration that worked for this long is one to go back to. */
  readonly provenAfterMs: number;
  /** Longest time for a rung that works on files. */
  readonly stepLimitMs: number;
  /** Longest wait for somebody who decides whether a configuration may be replaced. */
  readonly consentLimitMs: number;
}

/** How the process lives of a server or an agent are started, watched and ended; milliseconds unless named otherwise. */
export interface LifeSettings {
  /** What is started, for messages: `opencode serve`; of a server that others start, its address. */
  readonly label: string;
  /** Whether its process is ours, or somebody else's, who is asked and never touched. */
  readonly mode: 'managed' | 'external';
  /** Where a server that others start listens. */
  readonly knownPort?: number;
  /** After this a stop no longer waits for the process: its release kills what is left. */
  readonly stopLimitMs: number;
  /** Launches that a start may use before the backoff begins. */
  readonly startAttempts: number;
  /** Longest way to a life that is proved to work. */
  readonly readyTimeoutMs: number;
  /** Longest time for an agent to answer `initialize`; where absent, the ready timeout is the limit. */
  readonly handshakeTimeoutMs?: number;
  /** Longest time for an agent to open its sessions; where absent, the ready timeout is the limit. A server opens none. */
  readonly openTimeoutMs?: number;
  readonly health: HealthSettings;
  readonly restart: RestartPolicy;
  readonly recovery: RecoverySettings;
}

/** Limits of one event stream, in milliseconds, and how it is reconnected. */
export interface StreamSettings {
  /** Time for the response and, again, for the first event. */
  readonly firstEventMs: number;
  /** Time for asking the server what was missed. */
  readonly reconcileTimeoutMs: number;
  /** How long a stalled stream may still come back. */
  readonly stallGraceMs: number;
  /** How often the server is asked about running turns while the stream is open. */
  readonly auditIntervalMs: number;
  readonly retry: RetryPolicy;
}
