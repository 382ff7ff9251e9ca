import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../actors/errors.ts';
import { ask } from './git.ts';
import type { ListedWorktree } from './worktree-list.ts';

/** More commits are not counted. */
export const MAX_COMMITS = 10_000;

/** What would be lost with a worktree. */
export interface Condition {
  readonly isMissing: boolean;
  readonly dirtyFiles: number;
  readonly unpushedCommits: number;
  /** Why it could not be looked at as a whole. */
  readonly problem?: string;
}

/** The repository's own git directory, and until when it is asked. */
export interface Repository {
  readonly commonDirectory: string;
  readonly signal: AbortSignal;
}

/** Looks at one worktree. What cannot be learnt is said, and takes nothing from the others. */
export async function conditionOf(
  worktree: ListedWorktree,
  gitDirectory: string | undefined,
  repository: Repository,
): Promise<Condition> {
  const isMissing = worktree.isPrunable || !(await exists(join(worktree.path, '.git')));
  try {
    const [dirtyFiles, unpushedCommits] = await Promise.all([
      isMissing ? leftIn(worktree) : countChanges(worktree.path, gitDirectory, repository),
      countUnpushed(worktree.head, repository),
    ]);
    return { isMissing, dirtyFiles, unpushedCommits };
  } catch (error) {
    repository.signal.throwIfAborted();
    return { isMissing, dirtyFiles: 0, unpushedCommits: 0, problem: messageOf(error) };
  }
}

/** What lies where the worktree was: git no longer knows anything of it. */
async function leftIn({ path, isPrunable, isLocked }: ListedWorktree): Promise<number> {
  if (!isPrunable && !isLocked) throw new Error(`git says that there is a worktree at ${path}, and none can be found.`);
  return exists(path).then(async (isThere) => (isThere ? (await readdir(path)).length : 0));
}

/** [git] A NUL behind each change; lines that begin with # are about the branch. */
async function countChanges(path: string, gitDirectory: string | undefined, { signal }: Repository): Promise<number> {
  if (gitDirectory === undefined) throw new Error(`The git directory of the worktree ${path} was not found.`);
  if (await exists(join(gitDirectory, 'modules')))
    throw new Error(`The worktree ${path} has submodules: what is in those is not looked at.`);
  const args = ['status', '--porcelain=v2', '-z', '--untracked-files=all', '--no-renames'];
  const { output, isCut } = await ask(args, { directory: path, worktree: path, gitDirectory, signal });
  const changes = output.split('\0').filter((change) => change !== '' && !change.startsWith('# ')).length;
  return isCut ? Math.max(1, changes) : changes;
}

/** Commits that no remote-tracking branch has; where there is no remote, all of them. */
async function countUnpushed(head: string, { commonDirectory, signal }: Repository): Promise<number> {
  if (/^0*$/.test(head)) return 0; // No commit yet.
  const args = ['rev-list', '--count', `--max-count=${MAX_COMMITS}`, head, '--not', '--remotes'];
  const { output } = await ask(args, { directory: commonDirectory, gitDirectory: commonDirectory, signal });
  return Number(output);
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
