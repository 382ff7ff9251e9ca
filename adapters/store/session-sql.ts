import type { SessionRow } from './session-row.ts';

/** Every session. */
export const ALL = 'SELECT * FROM session';

/** Replaces one row, whole: one statement is one transaction. */
export function upsert(row: SessionRow): string {
  const values = Object.values(row).map(literal).join(', ');
  return `REPLACE INTO session (${Object.keys(row).join(', ')}) VALUES (${values})`;
}

/** The session of a chat with a backend. */
export const find = (backend: string, chatId: string): string => `${ALL} WHERE ${keyIs(backend, chatId)}`;

/** Removes the session of a chat with a backend. */
export const remove = (backend: string, chatId: string): string =>
  `DELETE FROM session WHERE ${keyIs(backend, chatId)}`;

const keyIs = (backend: string, chatId: string) => `backend = ${literal(backend)} AND chat_id = ${literal(chatId)}`;

/** What is run off the calling thread takes no parameters. In digits no text can be anything but a value. */
function literal(value: string | number | null): string {
  if (typeof value === 'string') return `CAST(x'${Buffer.from(value).toString('hex')}' AS TEXT)`;
  return String(value ?? 'NULL');
}
