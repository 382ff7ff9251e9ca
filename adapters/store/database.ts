import { type Connection, loadDriver, rowsOf } from './driver.ts';
import { codeOf, storeError } from './failures.ts';
import { prepareDirectory, prepareFile, watchFile } from './file.ts';
import { acquireLock, type StoreLock } from './lock.ts';
import { migrate, MIGRATIONS, versionOf } from './migrations.ts';

/** An open file of sessions that no other host has. Calls must not overlap: rows would wait for writes on the calling thread. */
export interface Database {
  write(sql: string): Promise<void>;
  rows(sql: string): Promise<readonly unknown[]>;
  close(): Promise<void>;
}

const BUSY_TIMEOUT_MS = 2_000;

// The end of the process undoes no commit. Only a power cut may: FULL would let every commit wait for the disk.
const SETTINGS = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL';
/** Fails, with broken JSON (`SQLITE_ERROR`), where the file is broken: what `exec` runs gives no rows. */
const CHECK = `SELECT json(iif(quick_check = 'ok', '1', 'broken')) FROM pragma_quick_check(1)`;
const BROKEN = new Set(['SQLITE_ERROR', 'SQLITE_CORRUPT', 'SQLITE_NOTADB']);

/** Closed sessions that nobody opened again. `julianday` is NULL for what is no time. */
const PRUNE = `DELETE FROM session WHERE status = 'closed' AND julianday(last_active_at) < julianday('now', '-30 days')`;

/** Locks the file, makes it where there is none, and brings it up to date. */
export async function openDatabase(given: string): Promise<Database> {
  const connect = await loadDriver(given);
  const path = await prepareDirectory(given);
  const lock = await acquireLock(connect, path);
  try {
    await prepareFile(path);
    const expectInPlace = await watchFile(path);
    const connection = await bringUpToDate(connect(path, BUSY_TIMEOUT_MS), path);
    return {
      async write(sql) {
        await expectInPlace();
        await connection.exec(sql);
      },
      rows: (sql) => rowsOf(connection, sql),
      close: () => closeAll(connection, lock),
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function bringUpToDate(connection: Connection, path: string): Promise<Connection> {
  try {
    const version = await versionOf(connection, path, MIGRATIONS.length);
    await expectWhole(connection, path);
    await connection.exec(SETTINGS);
    await migrate(connection, version);
    await connection.exec(PRUNE).catch(() => undefined); // On a full disk it is left to the next opening.
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function expectWhole(connection: Connection, path: string): Promise<void> {
  await connection.exec(CHECK).catch((cause: unknown) => {
    if (!BROKEN.has(codeOf(cause) ?? '')) throw cause;
    throw storeError(path, 'is corrupt. It is left as it is: move it away, or choose another path.', cause);
  });
}

async function closeAll(connection: Connection, lock: StoreLock): Promise<void> {
  try {
    await connection.exec('PRAGMA wal_checkpoint(TRUNCATE)').finally(() => connection.close());
  } finally {
    await lock.release();
  }
}
