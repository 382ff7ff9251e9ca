import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEvent } from '../../../adapters/opencode/decode-event.ts';

const sessionID = 'ses_1';
const event = (type: string, properties: object) => ({ type, properties });
const part = (fields: object) =>
  event('message.part.updated', { part: { id: 'prt_1', messageID: 'msg_1', sessionID, ...fields } });

describe('an event of an opencode server', () => {
  it.each<[string, unknown, unknown]>([
    ['greeting', event('server.connected', {}), { type: 'connected' }],
    ['heartbeat', event('server.heartbeat', {}), { type: 'heartbeat' }],
    [
      'delta',
      event('message.part.delta', { sessionID, messageID: 'msg_1', partID: 'prt_1', field: 'text', delta: 'Hi' }),
      { type: 'delta', sessionId: sessionID, messageId: 'msg_1', partId: 'prt_1', text: 'Hi' },
    ],
    [
      'unfinished text',
      part({ type: 'text', text: 'Hi', time: { start: 1 } }),
      {
        type: 'part',
        sessionId: sessionID,
        messageId: 'msg_1',
        partId: 'prt_1',
        part: { kind: 'text', text: 'Hi', done: false },
      },
    ],
    [
      'finished reasoning',
      part({ type: 'reasoning', text: 'Hm', time: { start: 1, end: 2 } }),
      {
        type: 'part',
        sessionId: sessionID,
        messageId: 'msg_1',
        partId: 'prt_1',
        part: { kind: 'reasoning', text: 'Hm', done: true },
      },
    ],
    [
      'tool with a subagent',
      part({
        type: 'tool',
        tool: 'task',
        callID: 'c',
        state: { status: 'running', input: { a: 1 }, metadata: { sessionId: 'ses_2', output: 'so far' } },
      }),
      {
        type: 'part',
        sessionId: sessionID,
        messageId: 'msg_1',
        partId: 'prt_1',
        part: {
          kind: 'tool',
          tool: {
            callId: 'c',
            name: 'task',
            status: 'running',
            input: { a: 1 },
            output: 'so far',
            childSessionId: 'ses_2',
          },
        },
      },
    ],
    [
      'usage',
      part({
        type: 'step-finish',
        cost: 0.5,
        tokens: { input: 1, output: 2, reasoning: 3, cache: { read: 4, write: 5 } },
      }),
      {
        type: 'part',
        sessionId: sessionID,
        messageId: 'msg_1',
        partId: 'prt_1',
        part: {
          kind: 'step-finish',
          usage: { input: 1, output: 2, reasoning: 3, cacheRead: 4, cacheWrite: 5, cost: 0.5 },
        },
      },
    ],
    [
      'complete answer',
      event('message.updated', {
        info: { id: 'msg_2', sessionID, role: 'assistant', parentID: 'msg_1', finish: 'stop', time: { completed: 2 } },
      }),
      {
        type: 'message',
        sessionId: sessionID,
        message: {
          id: 'msg_2',
          role: 'assistant',
          completed: true,
          aborted: false,
          summary: false,
          parentId: 'msg_1',
          finish: 'stop',
        },
      },
    ],
    [
      'failed answer',
      event('message.updated', {
        info: {
          id: 'msg_2',
          sessionID,
          role: 'assistant',
          error: { name: 'APIError', data: { message: 'no', isRetryable: true, responseHeaders: { secret: 'x' } } },
        },
      }),
      {
        type: 'message',
        sessionId: sessionID,
        message: {
          id: 'msg_2',
          role: 'assistant',
          completed: false,
          aborted: false,
          summary: false,
          failure: { code: 'ERR_TURN_FAILED', message: 'APIError: no', reason: 'APIError', retryable: true },
        },
      },
    ],
    ['busy', event('session.status', { sessionID, status: { type: 'busy' } }), { type: 'busy', sessionId: sessionID }],
    ['idle', event('session.status', { sessionID, status: { type: 'idle' } }), { type: 'idle', sessionId: sessionID }],
    [
      'retry',
      event('session.status', { sessionID, status: { type: 'retry', attempt: 2, message: 'slow', next: 5 } }),
      { type: 'retry', sessionId: sessionID, attempt: 2, message: 'slow', nextAt: 5 },
    ],
    [
      'session error',
      event('session.error', { sessionID, error: { name: 'MessageAbortedError', data: { message: 'Aborted' } } }),
      {
        type: 'error',
        sessionId: sessionID,
        aborted: true,
        failure: {
          code: 'ERR_TURN_FAILED',
          message: 'MessageAbortedError: Aborted',
          reason: 'MessageAbortedError',
          retryable: false,
        },
      },
    ],
    [
      'missing credentials',
      event('session.error', { sessionID, error: { name: 'ProviderAuthError', data: { message: 'no key' } } }),
      {
        type: 'error',
        sessionId: sessionID,
        aborted: false,
        failure: {
          code: 'ERR_AUTH_REQUIRED',
          message: 'ProviderAuthError: no key',
          reason: 'ProviderAuthError',
          retryable: false,
        },
      },
    ],
    [
      'subagent',
      event('session.created', { info: { id: 'ses_2', parentID: sessionID, title: 'Sub' } }),
      { type: 'session', sessionId: 'ses_2', parentId: sessionID, title: 'Sub' },
    ],
    [
      'permission',
      event('permission.asked', {
        id: 'per_1',
        sessionID,
        permission: 'bash',
        patterns: ['ls'],
        metadata: { command: 'ls' },
        tool: { messageID: 'm', callID: 'c' },
      }),
      {
        type: 'permission',
        sessionId: sessionID,
        permission: {
          id: 'per_1',
          permission: 'bash',
          patterns: ['ls'],
          metadata: { command: 'ls' },
          messageId: 'm',
          callId: 'c',
        },
      },
    ],
    [
      'answered permission',
      event('permission.replied', { sessionID, requestID: 'per_1', reply: 'reject' }),
      { type: 'permission-replied', sessionId: sessionID, requestId: 'per_1', rejected: true },
    ],
    [
      'question',
      event('question.asked', {
        id: 'que_1',
        sessionID,
        questions: [{ question: 'Which?', header: 'Pick', options: [{ label: 'A', description: 'a' }] }],
      }),
      {
        type: 'question',
        sessionId: sessionID,
        question: {
          id: 'que_1',
          questions: [{ question: 'Which?', header: 'Pick', options: [{ label: 'A', description: 'a' }] }],
        },
      },
    ],
    [
      'rejected question',
      event('question.rejected', { sessionID, requestID: 'que_1' }),
      { type: 'question-replied', sessionId: sessionID, requestId: 'que_1', rejected: true },
    ],
    [
      'plan',
      event('todo.updated', { sessionID, todos: [{ content: 'x', status: 'pending', priority: 'high' }] }),
      { type: 'plan', sessionId: sessionID, entries: [{ content: 'x', status: 'pending', priority: 'high' }] },
    ],
    ['second telling', event('sync', {}), { type: 'ignored' }],
    ['noise', event('plugin.added', { id: 'x' }), { type: 'ignored' }],
  ])('is decoded: %s', (_, raw, decoded) => {
    expect(decodeEvent(raw)).toEqual(decoded);
    expect(decodeEvent({ directory: '/project', project: 'p', payload: raw })).toEqual(decoded);
  });

  it('of an unknown type is handed on with its session', () => {
    const raw = event('session.next.thing', { sessionID, x: 1 });
    expect(decodeEvent(raw)).toEqual({ type: 'unknown', sessionId: sessionID, raw });
  });

  it.each([
    [null],
    [undefined],
    [42],
    ['text'],
    [[]],
    [{}],
    [{ type: 7 }],
    [{ type: 'message.updated' }],
    [{ payload: null }],
  ])('that is no event at all (%o) is unknown, and throws nothing', (raw) => {
    expect(decodeEvent(raw).type).toBe('unknown');
  });

  it('throws for nothing, whatever the types of its fields', () => {
    const types = [
      'message.part.delta',
      'message.part.updated',
      'message.updated',
      'session.status',
      'session.error',
      'session.created',
      'permission.asked',
      'question.asked',
      'todo.updated',
      'permission.replied',
    ];
    const value = fc.anything({ maxDepth: 3 });
    const keys = fc.constantFrom(
      'sessionID',
      'part',
      'info',
      'status',
      'error',
      'id',
      'type',
      'time',
      'state',
      'tokens',
      'questions',
      'todos',
      'tool',
      'patterns',
      'delta',
    );
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.dictionary(keys, value), (type, properties) => {
        expect(typeof decodeEvent({ type, properties }).type).toBe('string');
      }),
      { numRuns: 5_000 },
    );
  });
});
