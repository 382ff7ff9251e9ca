import { describe, expect, it } from 'vitest';
import { eventsOf, scriptedAgents } from '../fixtures/scripted-agent.ts';
import { until } from '../fixtures/until.ts';

const { start, directory } = scriptedAgents();

describe('a warm agent', () => {
  it('is one process and one session for all turns of a chat, and is gone after the stop', async () => {
    const { supervisor, open, transitions, handle } = start();
    const session = await open();
    const pids = [];
    for (const word of ['one', 'two', 'three']) {
      expect(await session.prompt(`[[say ${word}]]`).result).toMatchObject({ outcome: 'completed', text: word });
      pids.push(handle.status().pid);
    }
    expect(new Set(pids).size).toBe(1);
    expect((await session.prompt('[[recall]]').result).text).toBe('[[say one]] | [[say two]] | [[say three]]');
    await supervisor.stop();
    expect(transitions).toEqual(['idle → starting', 'starting → healthy', 'healthy → stopping', 'stopping → idle']);
    expect(supervisor.status()).toMatchObject({ state: 'stopped' });
  });

  it('tells thoughts, text, tools and what nobody knows, in order', async () => {
    const { open } = start();
    const session = await open();
    const events = await eventsOf(session.prompt('[[think hm]][[tool run]][[done output]][[strange]][[say bye]]'));
    expect(events.map((event) => (event.type === 'tool' ? `${event.type} ${event.tool.status}` : event.type))).toEqual([
      'reasoning',
      'tool pending',
      'tool running',
      'tool completed',
      'unknown',
      'text',
    ]);
    expect(events.find((event) => event.type === 'tool' && event.tool.status === 'completed')).toMatchObject({
      tool: { title: 'run', kind: 'execute', output: 'output' },
    });
  });

  it('is one process for each chat, or one for each directory where that is asked for', async () => {
    for (const [share, processes] of [
      ['session', 2],
      ['directory', 1],
    ] as const) {
      const { open, handle } = start({ agent: { share } });
      const place = directory();
      const [a, b] = await Promise.all([open('a', { directory: place }), open('b', { directory: place })]);
      const turns = [a.prompt('[[words 20 every 5]][[say A]]'), b.prompt('[[words 20 every 5]][[say B]]')];
      const texts = await Promise.all(turns.map(async (turn) => (await turn.result).text.at(-1)));
      expect([share, texts, handle.status().instances.length]).toEqual([share, ['A', 'B'], processes]);
    }
  });

  it('starts once for callers that come together, and not at all before', async () => {
    const { open, handle } = start({ agent: { share: 'directory' } });
    expect(handle.status()).toMatchObject({ state: 'idle', instances: [] });
    const place = directory();
    await Promise.all(Array.from({ length: 10 }, (_, index) => open(`chat-${index}`, { directory: place })));
    expect(handle.status()).toMatchObject({ state: 'healthy', sessions: 10, restarts: 0 });
    expect(handle.status().instances).toHaveLength(1);
  });

  it('may call its sessions as it likes: another process has its own', async () => {
    const { open } = start({ flags: ['counts-its-sessions'] });
    const [a, b] = await Promise.all([open('a'), open('b')]);
    expect([a.agentSessionId, b.agentSessionId]).toEqual(['session-1', 'session-1']);
    const texts = await Promise.all([a.prompt('[[say A]]').result, b.prompt('[[say B]]').result]);
    expect(texts.map(({ text }) => text)).toEqual(['A', 'B']);
  });

  it('survives what is no message, and writes nothing back for it', async () => {
    const { open } = start();
    const session = await open();
    expect(await session.prompt('[[noise]][[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('ends with its last session', async () => {
    const { open, handle } = start();
    const session = await open();
    await session.close();
    await until('the process is gone', () => handle.status().instances.length === 0, 5_000);
    expect(await session.prompt('x').result).toMatchObject({ error: { code: 'ERR_SESSION_CLOSED' } });
  });
});

describe('a turn of an agent', () => {
  it('fails with the agent’s own words', async () => {
    const { open } = start();
    const session = await open();
    expect(await session.prompt('[[fail the model is gone]]').result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_TURN_FAILED', message: 'the model is gone' },
    });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed' });
  });

  it('that stalls ends after its inactivity limit', async () => {
    const { open } = start({ supervisor: { turn: { inactivityTimeoutMs: 500, cancelTimeoutMs: 400 } } });
    const session = await open();
    expect(await session.prompt('[[say one]][[stall]]').result).toMatchObject({
      outcome: 'failed',
      text: 'one',
      error: { code: 'ERR_TURN_INACTIVE' },
    });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('survives what can be read and not be written again', async () => {
    const { open } = start();
    const session = await open();
    expect(await session.prompt('[[deep 100000]][[say fine]]').result).toMatchObject({
      outcome: 'completed',
      text: 'fine',
    });
    expect(() => session.prompt([{ type: 'file', path: 'relative.txt' }])).toThrow('an absolute path');
  });
});
