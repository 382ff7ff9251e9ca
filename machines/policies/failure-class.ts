/** Why something failed, as plain JSON. `code` is one of the library's stable error codes. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** A finer cause where one code has several, such as an errno: `ENOENT`, `EMFILE`, `port-taken`. */
  readonly reason?: string;
  /** Whether the one who failed says that trying again may help. */
  readonly retryable?: boolean;
}

/**
 * `permanent`: trying again cannot help. `transient`: it may. `configuration`: the configuration that we hold was refused.
 * `suspicious`: the program ended by itself before it was ready, and said nothing that we know; its configuration may be why.
 */
export type FailureClass = 'permanent' | 'transient' | 'configuration' | 'suspicious';

const PERMANENT_CODES: ReadonlySet<string> = new Set([
  'ERR_AUTH_REQUIRED',
  'ERR_EXTERNAL_UNAVAILABLE',
  'ERR_INVALID_OPTION',
  'ERR_NESTED_SUPERVISION',
  'ERR_RESTART_LIMIT',
  'ERR_UNSUPPORTED',
  'ERR_VERSION_MISMATCH',
]);

/** The system was short of something when the child was to be started; the command itself is fine. */
const TRANSIENT_SPAWN_REASONS: ReadonlySet<string> = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

/** One kind of failure, one answer. */
export function classifyFailure({ code, reason }: Failure): FailureClass {
  if (PERMANENT_CODES.has(code)) return 'permanent';
  if (code === 'ERR_SPAWN_FAILED') return TRANSIENT_SPAWN_REASONS.has(reason ?? '') ? 'transient' : 'permanent';
  if (code === 'ERR_CONFIG_INVALID') return reason === 'foreign-config' ? 'permanent' : 'configuration';
  if (reason === 'fixed-port-taken') return 'permanent';
  return code === 'ERR_EXITED_BEFORE_READY' && reason === 'exit-code' ? 'suspicious' : 'transient';
}
