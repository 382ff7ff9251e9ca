import { messageOf } from '../../actors/errors.ts';
import { storeError } from './failures.ts';

/** The part of libsql that is used. */
export interface Connection {
  /** Runs statements to their end on a thread of libsql. */
  exec(sql: string): Promise<void>;
  prepare(sql: string): Promise<Statement>;
  /** What a statement was prepared with stays open until the statement is collected. */
  close(): void;
}

/** `run` and `get` would do their work on the calling thread, whatever the disk does. */
interface Statement {
  /** Steps through the rows on the calling thread. */
  all(): Promise<readonly unknown[]>;
}

/** Opens a file, and makes it where there is none. */
export type Connect = (path: string, busyTimeoutMs: number) => Connection;

/** Loads libsql, which a host installs only where it keeps sessions in a file. Rejects with `ERR_STORE`. */
export async function loadDriver(path: string): Promise<Connect> {
  try {
    const { default: Database } = await import('libsql/promise');
    return (file, timeout) => new Database(file, { timeout });
  } catch (cause) {
    const message = `needs the package libsql, which could not be loaded: ${messageOf(cause)}. Install it: npm i libsql`;
    throw storeError(path, message, cause);
  }
}

/**
 * The rows of a query. Rows are stepped on the calling thread: the query runs off it first, so that what is on the disk
 * is in memory by then.
 */
export async function rowsOf(connection: Connection, sql: string): Promise<readonly unknown[]> {
  await connection.exec(sql);
  const statement = await connection.prepare(sql);
  return statement.all();
}
