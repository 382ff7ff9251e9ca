import { record } from '../json.ts';
import { type Connection, rowsOf } from './driver.ts';
import { storeError } from './failures.ts';

/** Each brings the schema one version further. Only append: files with the earlier ones exist. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE session (
     backend TEXT NOT NULL,
     chat_id TEXT NOT NULL,
     agent_session_id TEXT NOT NULL,
     directory TEXT NOT NULL,
     status TEXT NOT NULL,
     last_active_at TEXT NOT NULL,
     generation INTEGER NOT NULL,
     has_history INTEGER NOT NULL,
     turn TEXT,
     PRIMARY KEY (backend, chat_id)
   ) STRICT, WITHOUT ROWID`,
];

/** "asup", in the header of every file of ours. */
const APPLICATION_ID = 0x61737570;

/** Resolves with the version of the schema. Rejects where the file is another program's, newer or broken; writes nothing. */
export async function versionOf(connection: Connection, path: string, newest: number): Promise<number> {
  const [row] = await rowsOf(
    connection,
    `SELECT user_version AS version, application_id AS application,
       (SELECT count(*) FROM sqlite_schema) AS objects FROM pragma_user_version, pragma_application_id`,
  );
  const { version, application, objects } = record(row);
  const isNew = version === 0 && application === 0 && objects === 0;
  if (!isNew && application !== APPLICATION_ID)
    throw storeError(path, 'is the database of another program. It is left as it is: choose another path.');
  if (typeof version !== 'number' || version > newest)
    throw storeError(
      path,
      `was written by a newer agent-supervisor (${String(version)}, known: ${newest}). Update it.`,
    );
  return version;
}

/** Brings the schema to the newest version, whole or not at all. */
export async function migrate(
  connection: Connection,
  from: number,
  migrations: readonly string[] = MIGRATIONS,
): Promise<void> {
  const pending = migrations.slice(from);
  if (pending.length === 0) return;
  const versions = `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${migrations.length}`;
  try {
    await connection.exec(`BEGIN IMMEDIATE; ${pending.join(';\n')}; ${versions}; COMMIT`);
  } catch (error) {
    await connection.exec('ROLLBACK').catch(() => undefined); // SQLite rolls back some failures itself.
    throw error;
  }
}
