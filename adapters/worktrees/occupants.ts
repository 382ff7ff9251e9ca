import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import type { WorktreeUser } from './options.ts';

/** Where somebody works or worked, as the file system names it. */
export interface Occupant {
  readonly directory: string;
  /** In milliseconds since 1970; 0 where it is not known. */
  readonly lastActiveAt: number;
  readonly isClosed: boolean;
}

/** Who works or worked where. */
export function occupants(users: readonly WorktreeUser[]): Promise<Occupant[]> {
  return Promise.all(
    users.map(async ({ directory, lastActiveAt, status }) => ({
      directory: await realDirectory(directory),
      lastActiveAt: lastActiveAt === undefined ? 0 : Date.parse(lastActiveAt),
      isClosed: status === 'closed',
    })),
  );
}

/** Those in this directory, or somewhere below it. */
export function within(directory: string, all: readonly Occupant[]): Occupant[] {
  const below = directory.endsWith(sep) ? directory : directory + sep;
  return all.filter((occupant) => occupant.directory === directory || occupant.directory.startsWith(below));
}

/** The directory through all links; of what is gone, as much as is there. */
export async function realDirectory(path: string): Promise<string> {
  const whole = resolve(path);
  const parent = dirname(whole);
  try {
    return await realpath(whole);
  } catch {
    return parent === whole ? whole : join(await realDirectory(parent), basename(whole)); // ENOENT, or not ours to read.
  }
}
