import type { RetryPolicy } from './policies/backoff.ts';
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

/** How the process lives of a server or an agent are started, watched and ended; milliseconds unless named otherwise. */
export interface LifeSettings {
  /** What is started, for messages: `opencode serve`. */
  readonly label: string;
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
