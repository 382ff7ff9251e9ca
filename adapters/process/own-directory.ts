import { lstat, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { randomBytes } from 'node:crypto';
import { isOurs } from './record-directory.ts';

const PREFIX = 'agent-supervisor-';

/** A path that nobody else has, and that tells whose it is. */
export function ownDirectoryPath(run: string): string {
  return join(resolve(tmpdir()), `${PREFIX}${run}-${randomBytes(4).toString('hex')}`);
}

/** Removes a directory that the run has made, and nothing else. `none`: there is none of the run's at the path. */
export async function removeOwnDirectory(path: string, run: string): Promise<'removed' | 'none' | 'failed'> {
  if (!isOwnPath(path, run)) return 'none';
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isDirectory() || !isOurs(found)) return 'none'; // A link is not followed.
  return rm(path, { recursive: true, force: true }).then(
    () => 'removed' as const,
    () => 'failed' as const,
  );
}

const isOwnPath = (path: string, run: string): boolean =>
  isAbsolute(path) && resolve(path) === path && new RegExp(`^${PREFIX}${run}-[0-9a-f]{8}$`).test(basename(path));
