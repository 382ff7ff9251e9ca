import { access, constants, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeNew } from '../state-directory.ts';
import { codeOf, storeError } from './failures.ts';

/** One page: no database is smaller. */
const MIN_DATABASE_BYTES = 512;
const READ_ONLY = new Set(['EACCES', 'EPERM', 'EROFS']);

/** Makes the directory where there is none, and resolves with the path behind links. Rejects where nothing can be written. */
export async function prepareDirectory(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const real = await realpath(path).catch(() => path);
  await expectWritable(path, dirname(real), 'directory');
  return real;
}

/** Makes the file for its owner alone where there is none. Rejects where it is no file that can be written. */
export async function prepareFile(path: string): Promise<void> {
  await writeNew(path, '').catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
  const found = await stat(path);
  if (!found.isFile()) throw storeError(path, 'is no file. Choose another path.');
  await expectWritable(path, path, 'file');
  // SQLite would take a single byte for an empty database, and write over it.
  if (found.size > 0 && found.size < MIN_DATABASE_BYTES)
    throw storeError(path, 'is no database. It is left as it is: move it away, or choose another path.');
}

/** Rejects where the path does not lead to the file any more that it led to at first. */
export async function watchFile(path: string): Promise<() => Promise<void>> {
  const identity = async () => {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  };
  const first = await identity();
  return async () => {
    const now = await identity().catch(() => undefined);
    // Writes to a file without a name would succeed, and be lost.
    if (now !== first) throw storeError(path, 'was removed or replaced while it was open. Open it anew.');
  };
}

async function expectWritable(path: string, what: string, kind: 'directory' | 'file'): Promise<void> {
  try {
    await access(what, constants.R_OK | constants.W_OK);
  } catch (cause) {
    if (!READ_ONLY.has(codeOf(cause) ?? '')) throw cause;
    const message = `cannot be written: the ${kind} ${what} is read-only for this process. Make it writable, or choose another path.`;
    throw storeError(path, message, cause);
  }
}
