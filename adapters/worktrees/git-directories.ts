import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** [git] What git writes in a worktree's own directory as people and agents work there. */
const WRITTEN = ['index', 'HEAD', 'logs/HEAD'];

/**
 * [git] Each linked worktree has a directory in `worktrees/` of the repository's; the file `gitdir` in it names the `.git`
 * of the worktree, from the root or, in newer ones, from there. By the path of the worktree.
 */
export async function gitDirectories(commonDirectory: string): Promise<Map<string, string>> {
  const parent = join(commonDirectory, 'worktrees');
  const names = await readdir(parent).catch(() => []);
  const found = await Promise.all(
    names.map(async (name): Promise<[string, string] | undefined> => {
      const directory = join(parent, name);
      const dotGit = await readFile(join(directory, 'gitdir'), 'utf8').catch(() => undefined);
      return dotGit === undefined ? undefined : [dirname(resolve(directory, dotGit.trimEnd())), directory];
    }),
  );
  return new Map(found.filter((entry) => entry !== undefined));
}

/** When git last wrote there what tells of work, in milliseconds since 1970; 0 where nothing does. */
export async function lastWrittenAt(gitDirectory: string): Promise<number> {
  const times = await Promise.all(
    WRITTEN.map((name) =>
      stat(join(gitDirectory, name)).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  );
  return Math.max(...times);
}
