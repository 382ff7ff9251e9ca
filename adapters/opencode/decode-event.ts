import type { Failure } from '../../actors/ports.ts';
import {
  ABORTED,
  decodeFailure,
  type DecodedMessage,
  type DecodedPart,
  type DecodedPermission,
  type DecodedQuestion,
  decodeMessage,
  decodePart,
  decodePermission,
  decodeQuestion,
} from './decode-parts.ts';
import { count, type JsonFields, list, number, present, record, text, texts } from '../json.ts';

interface OfSession {
  readonly sessionId: string;
}

/** What an opencode server said, in this library's words. `ignored` is known and of no interest to a turn. */
export type OpencodeEvent =
  | { readonly type: 'connected' | 'heartbeat' | 'ignored' }
  | (OfSession & { readonly type: 'delta'; readonly messageId: string; readonly partId: string; readonly text: string })
  | (OfSession & {
      readonly type: 'part';
      readonly messageId: string;
      readonly partId: string;
      readonly part: DecodedPart;
    })
  | (OfSession & { readonly type: 'message'; readonly message: DecodedMessage })
  | (OfSession & { readonly type: 'busy' | 'idle' })
  | (OfSession & {
      readonly type: 'retry';
      readonly attempt: number;
      readonly message: string;
      readonly nextAt?: number;
    })
  | (OfSession & { readonly type: 'error'; readonly failure: Failure; readonly aborted: boolean })
  | (OfSession & { readonly type: 'permission'; readonly permission: DecodedPermission })
  | (OfSession & { readonly type: 'permission-replied'; readonly requestId: string; readonly rejected: boolean })
  | (OfSession & { readonly type: 'question'; readonly question: DecodedQuestion })
  | (OfSession & { readonly type: 'question-replied'; readonly requestId: string; readonly rejected: boolean })
  | (OfSession & { readonly type: 'session'; readonly parentId?: string; readonly title?: string })
  | (OfSession & {
      readonly type: 'plan';
      readonly entries: readonly { content: string; status: string; priority: string }[];
    })
  | { readonly type: 'unknown'; readonly sessionId?: string; readonly raw: unknown };

/** The session that an event is about, if it is about one. */
export const sessionIdOf = (event: OpencodeEvent): string | undefined =>
  'sessionId' in event ? event.sessionId : undefined;

/** Known events that say nothing about a turn. */
const IGNORED: ReadonlySet<string> = new Set([
  'sync',
  'session.diff',
  'session.idle', // `session.status` says the same, and says it first.
  'session.compacted',
  'session.deleted',
  'message.part.removed',
  'message.removed',
  'file.edited',
  'file.watcher.updated',
  'command.executed',
]);

/** Decodes one parsed event, of `/event` or (wrapped with its directory) of `/global/event`. Pure and total. */
export function decodeEvent(raw: unknown): OpencodeEvent {
  const outer = record(raw);
  const event = 'payload' in outer ? record(outer['payload']) : outer;
  const type = text(event['type']);
  const properties = record(event['properties']);
  const decode = type === undefined ? undefined : DECODERS.get(type);
  if (decode) return decode(properties) ?? unknownEvent(properties, event);
  if (type === undefined || !isNoise(type)) return unknownEvent(properties, event);
  return { type: 'ignored' };
}

function isNoise(type: string): boolean {
  return IGNORED.has(type) || !/^(session|message|permission|question|todo)\./.test(type);
}

function unknownEvent(properties: JsonFields, raw: unknown): OpencodeEvent {
  const sessionId = text(properties['sessionID']);
  return sessionId === undefined ? { type: 'unknown', raw } : { type: 'unknown', sessionId, raw };
}

type Decoder = (properties: JsonFields) => OpencodeEvent | undefined;

const DECODERS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['server.connected', () => ({ type: 'connected' })],
  ['server.heartbeat', () => ({ type: 'heartbeat' })],
  ['message.part.delta', decodeDelta],
  ['message.part.updated', (properties) => decodePartEvent(record(properties['part']))],
  ['message.updated', (properties) => decodeMessageEvent(record(properties['info']))],
  ['session.status', decodeStatus],
  ['session.error', decodeError],
  ['session.created', (properties) => decodeSession(record(properties['info']))],
  ['session.updated', (properties) => decodeSession(record(properties['info']))],
  [
    'permission.asked',
    (properties) => ofSession(properties, 'permission', { permission: decodePermission(properties) }),
  ],
  [
    'permission.replied',
    (properties) => decodeReply(properties, 'permission-replied', properties['reply'] === 'reject'),
  ],
  ['question.asked', (properties) => ofSession(properties, 'question', { question: decodeQuestion(properties) })],
  ['question.replied', (properties) => decodeReply(properties, 'question-replied', false)],
  ['question.rejected', (properties) => decodeReply(properties, 'question-replied', true)],
  ['todo.updated', decodePlan],
]);

function decodeDelta(properties: JsonFields): OpencodeEvent | undefined {
  const [sessionId, messageId, partId] = texts(properties, 'sessionID', 'messageID', 'partID');
  const delta = text(properties['delta']);
  if (sessionId === undefined || messageId === undefined || partId === undefined || delta === undefined)
    return undefined;
  return { type: 'delta', sessionId, messageId, partId, text: delta };
}

function decodePartEvent(part: JsonFields): OpencodeEvent | undefined {
  const [sessionId, messageId, partId] = texts(part, 'sessionID', 'messageID', 'id');
  if (sessionId === undefined || messageId === undefined || partId === undefined) return undefined;
  return { type: 'part', sessionId, messageId, partId, part: decodePart(part) };
}

function decodeMessageEvent(info: JsonFields): OpencodeEvent | undefined {
  const [sessionId, id] = texts(info, 'sessionID', 'id');
  return sessionId === undefined || id === undefined
    ? undefined
    : { type: 'message', sessionId, message: decodeMessage(info) };
}

function decodeStatus(properties: JsonFields): OpencodeEvent | undefined {
  const status = record(properties['status']);
  if (status['type'] === 'busy' || status['type'] === 'idle') return ofSession(properties, status['type'], {});
  if (status['type'] !== 'retry') return undefined;
  return ofSession(properties, 'retry', {
    attempt: count(status['attempt']),
    message: text(status['message']) ?? 'The model request is repeated.',
    ...present('nextAt', number(status['next'])),
  });
}

function decodeError(properties: JsonFields): OpencodeEvent | undefined {
  const error = record(properties['error']);
  return ofSession(properties, 'error', { failure: decodeFailure(error), aborted: error['name'] === ABORTED });
}

function decodeSession(info: JsonFields): OpencodeEvent | undefined {
  const sessionId = text(info['id']);
  if (sessionId === undefined) return undefined;
  return {
    type: 'session',
    sessionId,
    ...present('parentId', text(info['parentID'])),
    ...present('title', text(info['title'])),
  };
}

function decodeReply(properties: JsonFields, type: 'permission-replied' | 'question-replied', rejected: boolean) {
  const requestId = text(properties['requestID']);
  return requestId === undefined ? undefined : ofSession(properties, type, { requestId, rejected });
}

function decodePlan(properties: JsonFields): OpencodeEvent | undefined {
  const entries = list(properties['todos']).map((todo) => ({
    content: text(record(todo)['content']) ?? '',
    status: text(record(todo)['status']) ?? 'pending',
    priority: text(record(todo)['priority']) ?? 'medium',
  }));
  return ofSession(properties, 'plan', { entries });
}

function ofSession(properties: JsonFields, type: OpencodeEvent['type'], fields: object): OpencodeEvent | undefined {
  const sessionId = text(properties['sessionID']);
  return sessionId === undefined ? undefined : ({ type, sessionId, ...fields } as OpencodeEvent);
}
