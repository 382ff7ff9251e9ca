import { messageOf, SupervisorError } from '../../actors/errors.ts';

const NOT_OURS = 'It is left as it is: move it away, or choose another path.';

/** What to do, by the code of SQLite or of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  SQLITE_FULL: 'Make room on its disk: later writes work again.',
  ENOSPC: 'Make room on its disk.',
  SQLITE_BUSY: 'Another program holds it locked.',
  SQLITE_NOTADB: NOT_OURS,
  SQLITE_CORRUPT: NOT_OURS,
  SQLITE_READONLY: 'Make the file and its directory writable.',
};

/** A typed refusal that names the file. */
export function storeError(path: string, message: string, cause?: unknown): SupervisorError {
  return new SupervisorError('ERR_STORE', `The session store ${path} ${message}`, { reason: codeOf(cause), cause });
}

/** What was asked of a store. */
export type StoreOperation = 'opened' | 'read' | 'written' | 'closed';

/** What went wrong with the file; what is typed already stays as it is. */
export function toStoreError(path: string, done: StoreOperation, cause: unknown): Error {
  if (cause instanceof SupervisorError) return cause;
  const advice = ADVICE[codeOf(cause) ?? ''];
  const message = `could not be ${done}: ${messageOf(cause)}.${advice === undefined ? '' : ` ${advice}`}`;
  return storeError(path, message, cause);
}

/** The code of SQLite or of the system, where there is one. */
export function codeOf(cause: unknown): string | undefined {
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' && code !== '' ? code : undefined;
}
