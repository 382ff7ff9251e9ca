import type { BackendStatus, LifecycleState } from '../contract/status.ts';
import type { DriverSession, DriverSessionRequest } from '../ports.ts';
import type { Scope } from '../scope.ts';
import type { SessionRecord } from '../session/session-record.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import type { LifeCommand } from '../../machines/life-types.ts';

/** Who opens a session, for how long, and until when. */
export interface OpenCircumstances {
  readonly chatId: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** One configured thing that can run turns, whatever it is made of. */
export interface Backend {
  readonly id: string;
  readonly sessions: Set<SessionRecord>;
  /** The resources of all that runs for it. */
  readonly scope: Scope;
  readonly state: LifecycleState;
  /** Opens an agent session on something that runs; starts it if need be. */
  open(request: DriverSessionRequest, circumstances: OpenCircumstances): Promise<DriverSession>;
  /** Gives the session its carrier. */
  attach(session: SessionRecord): void;
  /** The session no longer needs its carrier. */
  detach(session: SessionRecord): void;
  /** An agent session that was opened is not needed after all. */
  discard(session: DriverSession): void;
  /** Runs a request about a session on what carries it; starts that if need be. */
  request<T>(session: SessionRecord, limits: RequestLimits, work: SessionWork<T>): Promise<T>;
  send(command: LifeCommand): void;
  /** Gives up every running turn. */
  failTurns(failure: Failure): void;
  status(): BackendStatus;
}

export interface RequestLimits {
  /** For the backend to work again, and then for the request, in milliseconds. Absent: only if it works now. */
  readonly startMs?: number;
  readonly requestMs: number;
}

export type SessionWork<T> = (driver: DriverSession, signal: AbortSignal) => Promise<T>;
