import type { SessionStore } from '../../actors/ports.ts';
import { expectAbsolutePath, expectObject } from '../../actors/validation.ts';
import { type Database, openDatabase } from './database.ts';
import { type StoreOperation, storeError, toStoreError } from './failures.ts';
import { serialQueue } from './serial-queue.ts';
import { decodeSession, encodeSession } from './session-row.ts';
import { ALL, find, remove, upsert } from './session-sql.ts';

/** Where a store in a file is. */
export interface SqliteStoreOptions {
  /**
   * The file, absolute. It is made for its owner alone where there is none, as is its directory; beside it stand `-wal`,
   * `-shm`, `.lock` and `.owner`. One host at a time has it.
   */
  readonly path: string;
}

/** So many calls wait at most for a disk that does not keep up. */
const MAX_WAITING = 10_000;

/**
 * Remembers sessions in a SQLite file, over the end of the host: what was put is kept even if the process is killed, and
 * only a power cut may undo the last writes. Needs the package `libsql`, which is loaded by `open()`. Closed sessions are
 * forgotten after 30 days. Every call rejects with `ERR_STORE` where it fails.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for options that are unknown or malformed.
 */
export function sqliteStore(options: SqliteStoreOptions): SessionStore {
  const path = expectAbsolutePath('path', expectObject('options', options, ['path'])['path']);
  const queue = serialQueue();
  let database: Database | undefined;

  const attempt = <T>(done: StoreOperation, task: () => Promise<T>): Promise<T> =>
    queue.run(() =>
      task().catch((error: unknown) => {
        throw toStoreError(path, done, error);
      }),
    );
  const use = <T>(done: StoreOperation, task: (open: Database) => Promise<T>): Promise<T> => {
    if (queue.waiting() >= MAX_WAITING)
      return Promise.reject(storeError(path, `does not keep up: ${MAX_WAITING} calls wait for it.`));
    return attempt(done, async () => {
      if (!database) throw storeError(path, 'is not open. Call open() first, and nothing after close().');
      return task(database);
    });
  };

  return {
    open: () =>
      attempt('opened', async () => {
        if (database) throw storeError(path, 'is open already.');
        database = await openDatabase(path);
      }),
    get: (backend, chatId) => use('read', async (open) => decodeSession((await open.rows(find(backend, chatId)))[0])),
    put: (session) =>
      use('written', async (open) => {
        const row = encodeSession(session);
        if (!decodeSession(row)) throw storeError(path, 'cannot keep this session: a field of it is malformed.');
        await open.write(upsert(row));
      }),
    delete: (backend, chatId) => use('written', (open) => open.write(remove(backend, chatId))),
    list: () =>
      use('read', async (open) => {
        const sessions = (await open.rows(ALL)).map(decodeSession);
        return sessions.filter((session) => session !== undefined);
      }),
    close: () =>
      attempt('closed', async () => {
        const closing = database;
        database = undefined;
        await closing?.close();
      }),
  };
}
