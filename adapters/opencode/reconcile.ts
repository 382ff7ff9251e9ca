import { decodeMessage, decodePart, decodePermission, decodeQuestion } from './decode-parts.ts';
import { type JsonFields, list, record, text } from '../json.ts';
import { ask, type OpencodeClient, RequestFailure } from './requests.ts';
import type { OpencodeTurn, TurnPlace } from './turn.ts';

/** Messages asked for at first; where a turn's own message is not among them, four times as many. */
const FIRST_PAGE = 50;
const MAX_PAGE = 3_200;

/** What is asked about: a running turn, or one that an earlier host has left. */
export type ReconciledTurn = Pick<OpencodeTurn, 'translator' | 'sink' | 'isOtherLife' | 'isOverdue'> & {
  readonly place: Pick<TurnPlace, 'sessionId' | 'directory' | 'demultiplexer'>;
};

/** A turn that begins between two questions is asked about once more. */
const READS = 3;

/**
 * Asks the server about running turns of one directory, and hands what it says to them. Resolves with what went wrong:
 * a session that cannot be read costs the others nothing. Rejects where nobody could be asked about anything.
 */
export async function reconcileDirectory(
  turns: readonly OpencodeTurn[],
  signal: AbortSignal,
): Promise<readonly unknown[]> {
  const first = turns[0];
  if (!first) return [];
  const { directory, life } = first.place;
  const client = life.client(directory);
  const outcomes = await Promise.allSettled([
    ...turns.map((turn) => reconcileTurn(turn, client, signal)),
    reconcileAsks(turns, client, directory, signal),
  ]);
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }): unknown => reason);
  if (failures.length === outcomes.length) throw failures[0];
  return failures;
}

/**
 * The status is read before the messages: a session that was idle then has nothing to add to what it says later. A turn
 * that was not known to have begun may have begun in between, so it is read again.
 */
export async function reconcileTurn(turn: ReconciledTurn, client: OpencodeClient, signal: AbortSignal): Promise<void> {
  const { isOtherLife, isOverdue } = turn;
  for (let read = 1; ; read += 1) {
    const hadBegun = turn.translator.hasBegun();
    const working = await isWorking(turn, client, signal);
    const place = await readMessages(turn, client, signal);
    if (!working && turn.translator.hasBegun() && !hadBegun && read < READS) continue;
    turn.sink.fact({ kind: 'reconciled', place, working, otherLife: isOtherLife, overdue: isOverdue });
    return;
  }
}

async function isWorking({ place }: ReconciledTurn, client: OpencodeClient, signal: AbortSignal): Promise<boolean> {
  const { directory, sessionId } = place;
  const statuses = await ask('GET /session/status', signal, (options) => client.session.status({ directory }, options));
  const type = record(record(statuses)[sessionId])['type'];
  return type === 'busy' || type === 'retry';
}

async function readMessages(
  turn: ReconciledTurn,
  client: OpencodeClient,
  signal: AbortSignal,
): Promise<'absent' | 'torn' | 'present'> {
  const { messageId } = turn.translator;
  for (let limit = FIRST_PAGE; ; limit *= 4) {
    const messages = await listMessages(turn, client, limit, signal);
    const index = messages.findIndex((message) => record(message['info'])['id'] === messageId);
    const own = messages[index];
    if (!own && messages.length >= limit && limit < MAX_PAGE) continue;
    for (const message of messages.slice(index + 1)) applyMessage(turn, message);
    if (!own) return 'absent';
    return list(own['parts']).length === 0 ? 'torn' : 'present';
  }
}

async function listMessages(
  { place }: ReconciledTurn,
  client: OpencodeClient,
  limit: number,
  signal: AbortSignal,
): Promise<readonly JsonFields[]> {
  const { sessionId: sessionID, directory } = place;
  const request = (options: { signal: AbortSignal }) =>
    client.session.messages({ sessionID, directory, limit }, options);
  const messages = await ask('GET /session/{id}/message', signal, request).catch((error: unknown) => {
    if (error instanceof RequestFailure && error.status === 404) return [];
    throw error;
  });
  return list(messages).map(record);
}

/** The parts go before the header: once the header says that a step is complete, its text is. */
function applyMessage({ place }: ReconciledTurn, message: JsonFields): void {
  const { sessionId, demultiplexer } = place;
  const info = record(message['info']);
  const decoded = decodeMessage(info);
  demultiplexer.dispatch(
    { type: 'message', sessionId, message: { ...decoded, completed: false, aborted: false } },
    false,
  );
  for (const part of list(message['parts']).map(record)) {
    const partId = text(part['id']);
    if (partId === undefined) continue;
    demultiplexer.dispatch({ type: 'part', sessionId, messageId: decoded.id, partId, part: decodePart(part) }, false);
  }
  demultiplexer.dispatch({ type: 'message', sessionId, message: decoded }, false);
}

/** Requests that wait are offered (again, with the same id); those that wait no longer are withdrawn. */
async function reconcileAsks(
  turns: readonly OpencodeTurn[],
  client: OpencodeClient,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const before = turns.map((turn) => ({ turn, pending: turn.translator.pendingAsks() }));
  const permissions = await ask('GET /permission', signal, (options) => client.permission.list({ directory }, options));
  const questions = await ask('GET /question', signal, (options) => client.question.list({ directory }, options));
  const listed = new Set([...list(permissions), ...list(questions)].map((request) => text(record(request)['id'])));
  for (const { turn, pending } of before) {
    for (const id of pending) if (!listed.has(id)) turn.translator.forgetAsk(id);
  }
  const [first] = turns;
  if (!first) return;
  const { demultiplexer } = first.place;
  for (const request of list(permissions).map(record)) {
    const sessionId = text(request['sessionID']) ?? '';
    demultiplexer.dispatch({ type: 'permission', sessionId, permission: decodePermission(request) }, false);
  }
  for (const request of list(questions).map(record)) {
    const sessionId = text(request['sessionID']) ?? '';
    demultiplexer.dispatch({ type: 'question', sessionId, question: decodeQuestion(request) }, false);
  }
}
