import { describe, expect, it } from 'vitest';
import { TurnTranslator } from '../../../adapters/opencode/turn-translator.ts';
import { decodeEvent } from '../../../adapters/opencode/decode-event.ts';
import { Recorder, running, texts } from '../../fixtures/translated-turn.ts';

describe('what a server says of a turn', () => {
  it('becomes its text, once, and the evidence of its end', () => {
    const { sink, message, status, textPart, delta } = running();
    status('busy');
    message('msg_a');
    textPart('prt_1', 'msg_a', '');
    delta('prt_1', 'msg_a', 'Hel');
    delta('prt_1', 'msg_a', 'lo');
    textPart('prt_1', 'msg_a', 'Hello', 2);
    message('msg_a', { finish: 'stop', time: { completed: 3 } });
    message('msg_a', { finish: 'stop', time: { completed: 3 } });
    status('idle');
    expect(texts(sink)).toEqual(['Hel', 'lo']);
    expect(sink.facts).toEqual([
      { kind: 'working' },
      { kind: 'step-began' },
      { kind: 'step-ended', last: true, stopReason: 'end_turn' },
      { kind: 'quiet' },
    ]);
  });

  it('does not count where it answers another message: a late word of an earlier turn proves nothing', () => {
    const { sink, message, textPart, delta } = running();
    message('msg_old', { parentID: 'msg_before', finish: 'stop', time: { completed: 1 } });
    textPart('prt_old', 'msg_old', 'late', 1);
    delta('prt_old', 'msg_old', 'late');
    message('msg_user', { role: 'user', parentID: undefined });
    textPart('prt_user', 'msg_user', 'my own prompt', 1);
    expect([sink.events, sink.facts]).toEqual([[], []]);
  });

  it('tells a step that calls tools from the last one', () => {
    const { sink, message } = running();
    for (const [id, finish] of [
      ['msg_a', 'tool-calls'],
      ['msg_b', 'unknown'],
      ['msg_c', 'length'],
    ] as const) {
      message(id, { finish, time: { completed: 1 } });
    }
    expect(sink.facts.filter((fact) => fact.kind === 'step-ended')).toEqual([
      { kind: 'step-ended', last: false, stopReason: 'tool-calls' },
      { kind: 'step-ended', last: false, stopReason: 'unknown' },
      { kind: 'step-ended', last: true, stopReason: 'max_tokens' },
    ]);
  });

  it('of a subagent belongs to the turn, with its origin, and proves nothing about the turn', () => {
    const { sink, say, message, status, textPart } = running();
    message('msg_a');
    say('session.created', { info: { id: 'ses_child', parentID: 'ses_1' } });
    status('busy', 'ses_child');
    message('msg_child', { parentID: 'msg_other' }, 'ses_child');
    textPart('prt_child', 'msg_child', 'sub', 1, 'ses_child');
    message('msg_child', { parentID: 'msg_other', finish: 'stop', time: { completed: 1 } }, 'ses_child');
    status('idle', 'ses_child');
    expect(sink.events).toEqual([
      { type: 'text', text: 'sub', messageId: 'msg_child', origin: { subagentSessionId: 'ses_child' } },
    ]);
    expect(sink.facts).toEqual([{ kind: 'step-began' }]);
  });

  it('finds a subagent by the tool that runs it, and asks for its permissions in the turn’s name', () => {
    const { sink, say, message, demultiplexer } = running();
    message('msg_a');
    say('message.part.updated', {
      part: {
        id: 'prt_t',
        messageID: 'msg_a',
        sessionID: 'ses_1',
        type: 'tool',
        tool: 'task',
        callID: 'c',
        state: { status: 'running', metadata: { sessionId: 'ses_child' } },
      },
    });
    say('permission.asked', { id: 'per_1', sessionID: 'ses_child', permission: 'bash', patterns: ['ls'] });
    expect(sink.asks).toMatchObject([{ id: 'per_1', type: 'permission', origin: { subagentSessionId: 'ses_child' } }]);
    expect([...demultiplexer.spawned]).toEqual(['ses_child']);
  });

  it('asks once for a request, also when it is listed again, and withdraws it when it is answered', () => {
    const { sink, say, message, turn } = running();
    message('msg_a');
    const request = {
      id: 'per_1',
      sessionID: 'ses_1',
      permission: 'bash',
      patterns: [],
      tool: { messageID: 'msg_a', callID: 'c' },
    };
    say('permission.asked', request);
    say('permission.asked', request);
    expect([sink.asks.length, [...turn.pendingAsks()]]).toEqual([1, ['per_1']]);
    say('permission.replied', { sessionID: 'ses_1', requestID: 'per_1', reply: 'reject' });
    expect([sink.retracted, sink.facts.at(-1)]).toEqual([['per_1'], { kind: 'rejected' }]);
  });

  it('does not ask again for what was answered, when an older listing still names it', () => {
    const { sink, say, message, demultiplexer } = running();
    message('msg_a');
    const permission = { id: 'per_1', permission: 'bash', patterns: [], messageId: 'msg_a' };
    demultiplexer.dispatch({ type: 'permission', sessionId: 'ses_1', permission });
    say('permission.replied', { sessionID: 'ses_1', requestID: 'per_1', reply: 'once' });
    demultiplexer.dispatch({ type: 'permission', sessionId: 'ses_1', permission }, false);
    expect(sink.asks).toHaveLength(1);
  });

  it('takes a rejection to a subagent for no end of the turn', () => {
    const { sink, say, message } = running();
    message('msg_a');
    say('session.created', { info: { id: 'ses_child', parentID: 'ses_1' } });
    say('permission.asked', { id: 'per_1', sessionID: 'ses_child', permission: 'bash', patterns: [] });
    say('permission.replied', { sessionID: 'ses_child', requestID: 'per_1', reply: 'reject' });
    expect(sink.facts).toEqual([{ kind: 'step-began' }]);
  });

  it('tells a tool once for each change, however often it is listed', () => {
    const { sink, say, message } = running();
    message('msg_a');
    const tool = (state: object) =>
      say('message.part.updated', {
        part: { id: 'p', messageID: 'msg_a', sessionID: 'ses_1', type: 'tool', tool: 'bash', callID: 'c', state },
      });
    for (const state of [
      { status: 'running' },
      { status: 'running' },
      { status: 'completed', output: 'x' },
      { status: 'completed', output: 'x' },
    ])
      tool(state);
    expect(sink.events.map((event) => event.type === 'tool' && event.tool.status)).toEqual(['running', 'completed']);
  });

  it('may name a time that no date can hold', () => {
    const { sink, say } = running();
    say('session.status', {
      sessionID: 'ses_1',
      status: { type: 'retry', attempt: 1, message: 'later', next: 8.64e16 },
    });
    expect(sink.events).toEqual([{ type: 'retry', attempt: 1, message: 'later' }]);
  });

  it('ignores a listed request of an earlier turn', () => {
    const { sink, demultiplexer, message } = running();
    message('msg_a');
    const permission = { id: 'per_old', permission: 'bash', patterns: [], messageId: 'msg_before' };
    demultiplexer.dispatch({ type: 'permission', sessionId: 'ses_1', permission }, false);
    expect(sink.asks).toEqual([]);
  });

  it('counts the usage of each step once', () => {
    const { sink, say, message } = running();
    message('msg_a');
    for (const [id, input] of [
      ['prt_1', 10],
      ['prt_1', 10],
      ['prt_2', 5],
    ] as const) {
      const tokens = { input, output: 1, reasoning: 0, cache: { read: 0, write: 0 } };
      say('message.part.updated', {
        part: { id, messageID: 'msg_a', sessionID: 'ses_1', type: 'step-finish', cost: 0.25, tokens },
      });
    }
    const usages = sink.events.map((event) => event.type === 'usage' && [event.usage.inputTokens, event.usage.cost]);
    expect(usages).toEqual([
      [10, 0.25],
      [15, 0.5],
    ]);
  });

  it('goes to its own turn only, with two sessions in one directory', () => {
    const first = running('ses_1', 'msg_1');
    const sink = new Recorder();
    first.demultiplexer.attach(
      new TurnTranslator({ sessionId: 'ses_2', directory: '/project', messageId: 'msg_2' }, sink),
    );
    first.status('busy', 'ses_2');
    first.status('busy', 'ses_1');
    expect([first.sink.facts, sink.facts]).toEqual([[{ kind: 'working' }], [{ kind: 'working' }]]);
    first.demultiplexer.detach(first.turn);
    first.status('idle', 'ses_1');
    expect(first.sink.facts).toHaveLength(1);
  });
});

describe('what is listed while the turn goes on', () => {
  it('costs the text that streams nothing: the end of an earlier step is known', () => {
    const { sink, demultiplexer, message, textPart, delta } = running();
    const finish = (live: boolean) =>
      demultiplexer.dispatch(
        decodeEvent({
          type: 'message.part.updated',
          properties: {
            part: { id: 'prt_f', messageID: 'msg_a', sessionID: 'ses_1', type: 'step-finish', tokens: {} },
          },
        }),
        live,
      );
    message('msg_a');
    finish(true);
    message('msg_a', { finish: 'tool-calls', time: { completed: 3 } });
    message('msg_b');
    textPart('prt_1', 'msg_b', '');
    delta('prt_1', 'msg_b', 'one ');
    finish(false);
    delta('prt_1', 'msg_b', 'two ');
    textPart('prt_1', 'msg_b', 'one two three', 2);
    expect(texts(sink).filter((text) => text !== 'usage')).toEqual(['one ', 'two ', 'three']);
  });

  it('does not end a step again that has ended: the one after it may not have', () => {
    const { sink, message } = running();
    const done = { finish: 'stop', time: { completed: 3 } };
    message('msg_a');
    message('msg_a', done);
    message('msg_b');
    message('msg_a');
    message('msg_a', done);
    expect(sink.facts.map(({ kind }) => kind)).toEqual(['step-began', 'step-ended', 'step-began']);
  });
});
