import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { messageOf, SupervisorError } from '../actors/errors.ts';

const OWNER_ONLY = 0o600;

/** Where this library keeps what outlives the host: `$XDG_STATE_HOME/agent-supervisor`, unless the host says otherwise. */
export function stateDirectory(given: string | undefined): string {
  if (given !== undefined) return given;
  const base = process.env['XDG_STATE_HOME'];
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.local', 'state'), 'agent-supervisor');
}

/** Where runs are on record while they have processes. */
export const processesDirectory = (given: string | undefined): string => join(stateDirectory(given), 'processes');

/** Makes a directory that only its owner may read, and returns its path. Rejects with `ERR_STORE`. */
export async function privateDirectory(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  } catch (cause) {
    const message = `Nothing can be kept in ${path}: ${messageOf(cause)}. Choose another \`stateDirectory\`, or make room there.`;
    throw new SupervisorError('ERR_STORE', message, { cause });
  }
}

/** A file name from any text: readable, and safe on every system. */
export const fileName = (text: string): string => text.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 80);

/** `2026-01-01T00-00-00.000Z`: sorts by time, and is a file name everywhere. */
export const stampOf = (wallMs: number): string => new Date(wallMs).toISOString().replaceAll(':', '-');

/** Writes a new file; there is none of that name yet. Rejects with `EEXIST` otherwise. */
export async function writeNew(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  await file.writeFile(content).finally(() => file.close());
}

/** Whose a file is, and who may do what with it. */
export interface Ownership {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Puts the content in the place of a file, whole or not at all, with the owner and the mode given. Rejects where the owner
 * cannot be kept.
 */
export async function replaceFile(
  path: string,
  content: Uint8Array,
  owner: Ownership = { mode: OWNER_ONLY },
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`);
  try {
    const file = await open(temporary, 'wx', OWNER_ONLY);
    try {
      await file.writeFile(content);
      await keepOwner(file, owner);
      await file.chmod(owner.mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** A host that runs as another user, such as root, must not take a file away from its owner. */
async function keepOwner(file: FileHandle, { uid, gid }: Ownership): Promise<void> {
  if (uid === undefined || gid === undefined) return;
  const own = await file.stat();
  if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid);
}

/** Removes all but the last `kept` files of a kind, by name. */
export async function keepLatest(directory: string, isOfKind: (name: string) => boolean, kept: number): Promise<void> {
  const names = (await readdir(directory)).filter(isOfKind).sort();
  for (const name of names.slice(0, Math.max(0, names.length - kept))) await rm(join(directory, name), { force: true });
}
