import type { StoredSession, StoredTurn } from '../../actors/ports.ts';
import { present, record, text } from '../json.ts';

const STATUSES: readonly unknown[] = ['active', 'idle', 'crashed', 'closed'] satisfies StoredSession['status'][];

/** A row of the table `session`. */
export type SessionRow = Readonly<Record<string, string | number | null>>;

/** The row of a session; `decodeSession` tells whether it can be kept. */
export function encodeSession(session: StoredSession): SessionRow {
  return {
    backend: session.backend,
    chat_id: session.chatId,
    agent_session_id: session.agentSessionId,
    directory: session.directory,
    status: session.status,
    last_active_at: session.lastActiveAt,
    generation: session.generation,
    has_history: session.hasHistory ? 1 : 0,
    turn: session.turn === undefined ? null : JSON.stringify(session.turn),
  };
}

/** The session of a row; what is none gives `undefined`. Never throws. */
export function decodeSession(row: unknown): StoredSession | undefined {
  const fields = record(row);
  const [backend, chatId, agentSessionId, directory] = ['backend', 'chat_id', 'agent_session_id', 'directory'].map(
    (name) => keptText(fields[name]),
  );
  const lastActiveAt = time(fields['last_active_at']);
  const { status, generation, has_history: hasHistory, turn: storedTurn } = fields;
  const turn = storedTurn === null ? undefined : decodeTurn(storedTurn);
  if (backend === undefined || chatId === undefined || agentSessionId === undefined || directory === undefined) return;
  if (!isStatus(status) || lastActiveAt === undefined || !isCount(generation)) return;
  if ((hasHistory !== 0 && hasHistory !== 1) || (turn === undefined && storedTurn !== null)) return;
  const told = { backend, chatId, agentSessionId, directory, status, lastActiveAt, generation };
  return { ...told, hasHistory: hasHistory === 1, ...present('turn', turn) };
}

function decodeTurn(stored: unknown): StoredTurn | undefined {
  const fields = record(parsed(stored));
  const { id, startedAt, messageId } = fields;
  if (text(id) === undefined || time(startedAt) === undefined) return;
  if (messageId !== undefined && text(messageId) === undefined) return;
  return { id: id as string, startedAt: startedAt as string, ...present('messageId', text(messageId)) };
}

function parsed(stored: unknown): unknown {
  try {
    return JSON.parse(String(stored));
  } catch {
    return undefined;
  }
}

/** Text that comes out of SQLite as it went in: NUL characters end it there, and halves of characters are replaced. */
function keptText(value: unknown): string | undefined {
  const given = text(value);
  return given !== undefined && !given.includes('\0') && Buffer.from(given).toString() === given ? given : undefined;
}

function time(value: unknown): string | undefined {
  const given = text(value);
  return given !== undefined && !Number.isNaN(Date.parse(given)) ? given : undefined;
}

const isStatus = (value: unknown): value is StoredSession['status'] => STATUSES.includes(value);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
