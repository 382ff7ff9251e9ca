import { type Connection, loadDriver, rowsOf } from './driver.ts';
import { storeError } from './failures.ts';
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

// Both run off the calling thread, as does whatever writes. A commit is in the file when it resolves: the end of the
// process does not undo it, and only a power cut may, for which every commit would have to wait for the disk.
const SETTINGS = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL';
const CHECK = `SELECT json(iif(quick_check = 'ok', '1', 'broken')) FROM pragma_quick_check(1)`;

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
    await connection.exec(PRUNE);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function expectWhole(connection: Connection, path: string): Promise<void> {
  await connection.exec(CHECK).catch((cause: unknown) => {
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
