import type { Failure, Question } from '../../actors/ports.ts';
import { count, type JsonFields, list, present, record, text } from '../json.ts';

/** A part of a message: a piece of text, a tool, or the end of a step. */
export type DecodedPart =
  | { readonly kind: 'text' | 'reasoning'; readonly text: string; readonly done: boolean }
  | { readonly kind: 'tool'; readonly tool: DecodedTool }
  | { readonly kind: 'step-finish'; readonly usage: DecodedUsage }
  | { readonly kind: 'compaction'; readonly auto: boolean }
  | { readonly kind: 'other' };

export interface DecodedTool {
  readonly callId: string;
  readonly name: string;
  readonly status: 'pending' | 'running' | 'completed' | 'error';
  readonly title?: string;
  readonly input?: unknown;
  readonly output?: string;
  readonly error?: string;
  /** The subagent's session, where the tool runs one. */
  readonly childSessionId?: string;
}

export interface DecodedUsage {
  readonly input: number;
  readonly output: number;
  readonly reasoning: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly cost: number;
}

export interface DecodedMessage {
  readonly id: string;
  readonly role: string;
  readonly parentId?: string;
  readonly completed: boolean;
  /** A summary of the session for the model: no answer to anybody. */
  readonly summary: boolean;
  readonly finish?: string;
  readonly failure?: Failure;
  readonly aborted: boolean;
}

export interface DecodedPermission {
  readonly id: string;
  readonly permission: string;
  readonly patterns: readonly string[];
  readonly metadata?: unknown;
  readonly messageId?: string;
  readonly callId?: string;
}

export interface DecodedQuestion {
  readonly id: string;
  readonly questions: readonly Question[];
  readonly messageId?: string;
}

/** How an error names a cancelled message. */
export const ABORTED = 'MessageAbortedError';

/** Decodes a part of a message, as an event or a listing carries it. */
export function decodePart(part: JsonFields): DecodedPart {
  switch (part['type']) {
    case 'text':
    case 'reasoning':
      return {
        kind: part['type'],
        text: text(part['text']) ?? '',
        done: record(part['time'])['end'] !== undefined || part['synthetic'] === true,
      };
    case 'tool':
      return { kind: 'tool', tool: decodeTool(part) };
    case 'step-finish':
      return { kind: 'step-finish', usage: decodeUsage(part) };
    case 'compaction':
      return { kind: 'compaction', auto: part['auto'] === true };
    default:
      return { kind: 'other' };
  }
}

function decodeTool(part: JsonFields): DecodedTool {
  const state = record(part['state']);
  const metadata = record(state['metadata']);
  const status = state['status'];
  return {
    callId: text(part['callID']) ?? text(part['id']) ?? '',
    name: text(part['tool']) ?? 'unknown',
    status: status === 'running' || status === 'completed' || status === 'error' ? status : 'pending',
    ...present('title', text(state['title'])),
    ...present('input', state['input']),
    ...present('output', text(state['output']) ?? text(metadata['output'])),
    ...present('error', text(state['error'])),
    ...present('childSessionId', text(metadata['sessionId'])),
  };
}

function decodeUsage(part: JsonFields): DecodedUsage {
  const tokens = record(part['tokens']);
  const cache = record(tokens['cache']);
  return {
    input: count(tokens['input']),
    output: count(tokens['output']),
    reasoning: count(tokens['reasoning']),
    cacheRead: count(cache['read']),
    cacheWrite: count(cache['write']),
    cost: count(part['cost']),
  };
}

/** Decodes a message's header, as an event or a listing carries it. */
export function decodeMessage(info: JsonFields): DecodedMessage {
  const error = record(info['error']);
  const aborted = error['name'] === ABORTED;
  return {
    id: text(info['id']) ?? '',
    role: text(info['role']) ?? '',
    completed: record(info['time'])['completed'] !== undefined,
    summary: info['summary'] === true,
    aborted,
    ...present('parentId', text(info['parentID'])),
    ...present('finish', text(info['finish'])),
    ...(text(error['name']) !== undefined && !aborted ? { failure: decodeFailure(error) } : {}),
  };
}

/** Names and messages only: the rest of an error carries response headers and configuration. */
export function decodeFailure(error: JsonFields): Failure {
  const name = text(error['name']) ?? 'UnknownError';
  const data = record(error['data']);
  const message = `${name}: ${text(data['message']) ?? 'the agent gave no reason'}`;
  const code = name === 'ProviderAuthError' ? 'ERR_AUTH_REQUIRED' : 'ERR_TURN_FAILED';
  return { code, message, reason: name, retryable: data['isRetryable'] === true };
}

/** Decodes a permission request, as an event or a listing carries it. */
export function decodePermission(raw: JsonFields): DecodedPermission {
  const tool = record(raw['tool']);
  return {
    id: text(raw['id']) ?? '',
    permission: text(raw['permission']) ?? 'unknown',
    patterns: list(raw['patterns']).filter((pattern) => typeof pattern === 'string'),
    ...present('metadata', raw['metadata']),
    ...present('messageId', text(tool['messageID'])),
    ...present('callId', text(tool['callID'])),
  };
}

/** Decodes a question, as an event or a listing carries it. */
export function decodeQuestion(raw: JsonFields): DecodedQuestion {
  return {
    id: text(raw['id']) ?? '',
    questions: list(raw['questions']).map((question) => decodeOneQuestion(record(question))),
    ...present('messageId', text(record(raw['tool'])['messageID'])),
  };
}

function decodeOneQuestion(raw: JsonFields): Question {
  return {
    question: text(raw['question']) ?? '',
    options: list(raw['options']).map((option) => ({
      label: text(record(option)['label']) ?? '',
      ...present('description', text(record(option)['description'])),
    })),
    ...present('header', text(raw['header'])),
    ...(raw['multiple'] === true ? { multiple: true } : {}),
    ...(raw['custom'] === false ? { custom: false } : {}),
  };
}
