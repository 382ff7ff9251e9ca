import { resolve } from 'node:path';
import { conditionOf, type Repository } from './condition.ts';
import { ask } from './git.ts';
import { gitDirectories, lastWrittenAt } from './git-directories.ts';
import { inTurns } from './in-turns.ts';
import { type Occupant, occupants, realDirectory, within } from './occupants.ts';
import { type OrphanWorktreesOptions, resolveOptions } from './options.ts';
import { decodeWorktrees, type ListedWorktree } from './worktree-list.ts';

/** Worktrees that are looked at side by side; each is two processes of git. */
const AT_ONCE = 4;

/** A worktree that nobody works in, and what would be lost with it. */
export interface OrphanWorktree {
  /** As git names it. */
  readonly path: string;
  /** Absent where no branch is checked out. */
  readonly branch?: string;
  /** A commit; zeros where there is none yet. */
  readonly head: string;
  readonly isDetached: boolean;
  readonly isLocked: boolean;
  /** Its directory is gone, or is no worktree any more; what lies there then counts as dirty. */
  readonly isMissing: boolean;
  readonly isDirty: boolean;
  /** Changed and untracked files, without those that are ignored. */
  readonly dirtyFiles: number;
  /** Commits of its HEAD that no remote-tracking branch has, counted up to 10_000; without a remote, all. */
  readonly unpushedCommits: number;
  /** An ISO time: when git last wrote for it, or a session in it was active. */
  readonly lastActiveAt: string;
  /** Clean, pushed and not locked: nothing but ignored files is lost with it. */
  readonly isSafe: boolean;
  /** Why it could not be looked at as a whole; then it is not safe. */
  readonly problem?: string;
}

/** A worktree that may be one, and what is known of its activity. */
interface Candidate {
  readonly listed: ListedWorktree;
  readonly gitDirectory: string | undefined;
  readonly lastActiveAt: number;
}

/**
 * Lists the worktrees of a repository that no session works in and that were idle for longer than the grace, those that
 * were idle for longest first. It looks and says; it removes nothing, writes nothing and starts no hook. The main worktree
 * is never among them.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for malformed options and where there is no repository, `ERR_SPAWN_FAILED`
 * where git cannot be started or hangs, `ERR_VERSION_MISMATCH` for a git before 2.36.
 */
export async function orphanWorktrees(options: OrphanWorktreesOptions): Promise<OrphanWorktree[]> {
  const { repository: directory, users, graceMs, now, signal } = resolveOptions(options);
  const [, ...linked] = decodeWorktrees((await ask(LIST, { directory, signal })).output);
  if (linked.length === 0) return [];
  const { output } = await ask(COMMON_DIRECTORY, { directory, signal });
  const repository = { commonDirectory: output.replace(/\r?\n$/, ''), signal };
  const idle = (await unoccupied(linked, await occupants(users), repository)).filter(
    ({ lastActiveAt }) => now - lastActiveAt >= graceMs,
  );
  idle.sort((a, b) => a.lastActiveAt - b.lastActiveAt);
  return inTurns(idle, AT_ONCE, (candidate) => examine(candidate, repository));
}

const LIST = ['worktree', 'list', '--porcelain', '-z'];
const COMMON_DIRECTORY = ['rev-parse', '--path-format=absolute', '--git-common-dir'];

/** Those that nobody works in, and when somebody last did. */
async function unoccupied(
  worktrees: readonly ListedWorktree[],
  all: readonly Occupant[],
  { commonDirectory }: Repository,
): Promise<Candidate[]> {
  const directories = await gitDirectories(commonDirectory);
  const candidates = await Promise.all(
    worktrees.map(async (listed) => {
      const here = within(await realDirectory(listed.path), all);
      if (here.some(({ isClosed }) => !isClosed)) return [];
      const gitDirectory = directories.get(resolve(listed.path));
      const writtenAt = gitDirectory === undefined ? 0 : await lastWrittenAt(gitDirectory);
      return [{ listed, gitDirectory, lastActiveAt: Math.max(writtenAt, ...here.map((user) => user.lastActiveAt)) }];
    }),
  );
  return candidates.flat();
}

async function examine(
  { listed, gitDirectory, lastActiveAt }: Candidate,
  repository: Repository,
): Promise<OrphanWorktree> {
  const { isPrunable: _, ...known } = listed;
  const condition = await conditionOf(listed, gitDirectory, repository);
  const isDirty = condition.dirtyFiles > 0;
  const isPushed = condition.unpushedCommits === 0;
  return {
    ...known,
    ...condition,
    isDirty,
    lastActiveAt: new Date(lastActiveAt).toISOString(),
    isSafe: !isDirty && isPushed && !listed.isLocked && condition.problem === undefined,
  };
}
