import {
  expectAbsolutePath,
  expectCount,
  expectObject,
  expectSignal,
  invalidOption,
  optional,
} from '../../actors/validation.ts';

/** Who works in a directory, or did: a session of `supervisor.status()`, or the record of one in a session store. */
export interface WorktreeUser {
  /** Absolute. */
  readonly directory: string;
  /** An ISO time. */
  readonly lastActiveAt?: string;
  /** `closed`: nobody works there any more; when it was active last still counts. */
  readonly status?: string;
}

/** Which worktrees are looked for, and who says that one is not an orphan. */
export interface OrphanWorktreesOptions {
  /** Any worktree of the repository, or a directory in one; absolute. */
  readonly repository: string;
  /** The sessions, as they are, or absolute directories. A worktree with one of them in it is no orphan. */
  readonly inUse: readonly (string | WorktreeUser)[];
  /** A worktree that was active within this time is no orphan yet, in milliseconds. Default 3_600_000. */
  readonly graceMs?: number;
  /** The present, in milliseconds since 1970. Default: what the machine says. */
  readonly now?: number;
  readonly signal?: AbortSignal;
}

/** The options, complete. */
export interface ResolvedWorktreesOptions {
  readonly repository: string;
  readonly users: readonly WorktreeUser[];
  readonly graceMs: number;
  readonly now: number;
  readonly signal: AbortSignal;
}

const KNOWN = ['repository', 'inUse', 'graceMs', 'now', 'signal'] as const;

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveOptions(options: OrphanWorktreesOptions): ResolvedWorktreesOptions {
  const given = expectObject('orphanWorktrees()', options, KNOWN);
  const { inUse } = given;
  if (!Array.isArray(inUse)) throw invalidOption('inUse', 'an array of directories and sessions', inUse);
  optional(given['signal'], (value) => expectSignal('signal', value));
  return {
    repository: expectAbsolutePath('repository', given['repository']),
    users: inUse.map((user, index) => expectUser(`inUse[${index}]`, user)),
    graceMs: optional(given['graceMs'], (value) => expectCount('graceMs', value)) ?? 3_600_000,
    now: optional(given['now'], (value) => expectCount('now', value)) ?? Date.now(),
    signal: options.signal ?? new AbortController().signal,
  };
}

// The rest of it is not looked at: sessions and records are passed as they are.
function expectUser(path: string, value: unknown): WorktreeUser {
  if (typeof value === 'string') return { directory: expectAbsolutePath(path, value) };
  if (typeof value !== 'object' || value === null) throw invalidOption(path, 'a directory or a session', value);
  const user = value as Partial<WorktreeUser>;
  expectAbsolutePath(`${path}.directory`, user.directory);
  if (user.lastActiveAt !== undefined && Number.isNaN(Date.parse(user.lastActiveAt)))
    throw invalidOption(`${path}.lastActiveAt`, 'an ISO time', user.lastActiveAt);
  return user as WorktreeUser;
}
