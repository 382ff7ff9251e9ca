import type { Failure } from '../machines/policies/failure-class.ts';

/** The stable codes of this library's errors. Match on these, never on messages. */
export const ERROR_CODES = [
  'ERR_AUTH_REQUIRED',
  'ERR_BACKEND_EXITED',
  'ERR_CANCEL_TIMEOUT',
  'ERR_CONFIG_INVALID',
  'ERR_EXITED_BEFORE_READY',
  'ERR_EXTERNAL_UNAVAILABLE',
  'ERR_HANDSHAKE_FAILED',
  'ERR_INTERNAL',
  'ERR_INVALID_OPTION',
  'ERR_NESTED_SUPERVISION',
  'ERR_OPEN_TIMEOUT',
  'ERR_PATH_OUTSIDE_WORKTREE',
  'ERR_POOL_FULL',
  'ERR_PROTOCOL',
  'ERR_QUEUE_FULL',
  'ERR_READY_TIMEOUT',
  'ERR_RESTART_LIMIT',
  'ERR_SESSION_CLOSED',
  'ERR_SESSION_NOT_FOUND',
  'ERR_SPAWN_FAILED',
  'ERR_STOPPED',
  'ERR_STORE',
  'ERR_STREAM_FAILED',
  'ERR_STREAM_STALLED',
  'ERR_TURN_DEADLINE',
  'ERR_TURN_FAILED',
  'ERR_TURN_INACTIVE',
  'ERR_UNKNOWN_BACKEND',
  'ERR_UNSUPPORTED',
  'ERR_VERSION_MISMATCH',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** What an error may say beside its code and message. */
export interface SupervisorErrorDetails {
  readonly backend?: string | undefined;
  readonly sessionId?: string | undefined;
  /** A finer cause where one code has several, such as an errno. */
  readonly reason?: string | undefined;
  readonly cause?: unknown;
}

/** Every error of this library. The message says what happened, to which thing, and what to do. */
export class SupervisorError extends Error {
  override readonly name = 'SupervisorError';
  readonly code: ErrorCode;
  readonly backend?: string;
  readonly sessionId?: string;
  readonly reason?: string;

  constructor(code: ErrorCode, message: string, details: SupervisorErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.backend !== undefined) this.backend = details.backend;
    if (details.sessionId !== undefined) this.sessionId = details.sessionId;
    if (details.reason !== undefined) this.reason = details.reason;
  }
}

const KNOWN_CODES: ReadonlySet<string> = new Set(ERROR_CODES);

/** The plain form of anything that was thrown; what is not ours becomes `code`. */
export function toFailure(thrown: unknown, code: ErrorCode = 'ERR_INTERNAL'): Failure {
  if (thrown instanceof SupervisorError) {
    const { message, reason } = thrown;
    return { code: thrown.code, message, ...(reason === undefined ? {} : { reason }) };
  }
  const errno = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
  return { code, message: messageOf(thrown), ...(typeof errno === 'string' ? { reason: errno } : {}) };
}

/** The error for a failure; a code that is not ours becomes `ERR_INTERNAL`. */
export function fromFailure(failure: Failure, details: SupervisorErrorDetails = {}): SupervisorError {
  const code = KNOWN_CODES.has(failure.code) ? (failure.code as ErrorCode) : 'ERR_INTERNAL';
  return new SupervisorError(code, failure.message, { reason: failure.reason, ...details });
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause instanceof Error ? `: ${thrown.cause.message}` : '';
  return `${thrown.message}${cause}`;
}
