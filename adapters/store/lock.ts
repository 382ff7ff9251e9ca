import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { messageOf } from '../../actors/errors.ts';
import type { Connect, Connection } from './driver.ts';
import { codeOf, storeError } from './failures.ts';

/** A store that is held by this process, until it is released or the process ends, however it ends. */
export interface StoreLock {
  release(): Promise<void>;
}

/** A host that is just ending gets this long. */
const LOCK_WAIT_MS = 500;

/**
 * Holds an exclusive transaction on `<path>.lock`, an empty database: the kernel ends it with the process, and SQLite keeps
 * the stores of one process apart. Rejects with `ERR_STORE` that names the owner.
 *
 * Nothing else may open the lock file: closing it anywhere in this process would release the lock (POSIX).
 */
export async function acquireLock(connect: Connect, path: string): Promise<StoreLock> {
  const file = `${path}.lock`;
  const owner = `${path}.owner`;
  const connection = await hold(connect, file).catch(async (cause: unknown) => {
    throw codeOf(cause) === 'SQLITE_BUSY' ? await inUse(path, owner, cause) : cannotLock(path, file, cause);
  });
  // Both are of use to people only: a full disk does not keep a host from its store.
  await chmod(file, 0o600).catch(() => undefined);
  await writeFile(owner, `${process.pid}\n`, { mode: 0o600 }).catch(() => undefined);
  return {
    async release() {
      try {
        await rm(owner, { force: true });
      } finally {
        await connection.exec('ROLLBACK').finally(() => connection.close());
      }
    },
  };
}

/** What is written is never committed: on a read-only file, the transaction alone would begin without a lock. */
async function hold(connect: Connect, file: string): Promise<Connection> {
  const connection = connect(file, LOCK_WAIT_MS);
  try {
    await connection.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE; PRAGMA user_version = 1');
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function inUse(path: string, owner: string, cause: unknown): Promise<Error> {
  const pid = Number.parseInt(await readFile(owner, 'utf8').catch(() => ''), 10);
  const who = isAlive(pid) ? `process ${pid}${pid === process.pid ? ', this one' : ''}` : 'another process';
  return storeError(path, `is in use by ${who}. Stop that host, or choose another path.`, cause);
}

function cannotLock(path: string, file: string, cause: unknown): Error {
  return storeError(
    path,
    `could not be locked with ${file}: ${messageOf(cause)}. Make that file writable for this user.`,
    cause,
  );
}

/** What a killed owner left behind names nobody, or a process that has nothing to do with it. */
function isAlive(pid: number): boolean {
  try {
    return Number.isInteger(pid) && process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
