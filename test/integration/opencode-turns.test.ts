import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AgentEvent } from '../../index.ts';
import { bash, runningOpencode } from '../fixtures/running-opencode.ts';
import { eventsOf } from '../fixtures/scripted-agent.ts';

const running = runningOpencode();
const textOf = (events: readonly AgentEvent[]) =>
  events.map((event) => (event.type === 'text' && !event.origin ? event.text : '')).join('');

describe('a turn on a real opencode server', () => {
  it('streams reasoning, text, tools and usage, and is completed', async () => {
    const session = await running.open();
    const turn = session.prompt(
      `[[think Let me see. ]][[say Hello wörld 🎉 ]]${bash('echo from the tool')}[[say Done.]]`,
    );
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({
      outcome: 'completed',
      stopReason: 'end_turn',
      text: 'Hello wörld 🎉 Done.',
      usage: { inputTokens: 20, outputTokens: 10, totalTokens: 30 },
    });
    expect(textOf(events)).toBe('Hello wörld 🎉 Done.');
    expect(
      events
        .filter((event) => event.type === 'reasoning')
        .map((event) => event.text)
        .join(''),
    ).toBe('Let me see. ');
    const tools = events.filter((event) => event.type === 'tool').map((event) => event.tool);
    expect(tools.at(-1)).toMatchObject({ name: 'bash', status: 'completed', output: 'from the tool\n' });
    expect(new Set(tools.map(({ id }) => id)).size).toBe(1);
  });

  it('remembers the turn before', async () => {
    const session = await running.open();
    await session.prompt('[[say one]]').result;
    await session.prompt('[[say two]]').result;
    const messages = await session.messages();
    expect(messages.map(({ role, text }) => [role, text])).toEqual([
      ['user', '[[say one]]'],
      ['assistant', 'one'],
      ['user', '[[say two]]'],
      ['assistant', 'two'],
    ]);
  });

  it('runs the prompts of a session one after the other', async () => {
    const session = await running.open();
    const turns = ['one', 'two', 'three'].map((word) => session.prompt(`[[say ${word}]]`));
    expect(await Promise.all(turns.map(async (turn) => (await turn.result).text))).toEqual(['one', 'two', 'three']);
  });

  it('does not tell a text twice when the model’s answer breaks off and is repeated', async () => {
    const session = await running.open();
    const turn = session.prompt('[[say Partial ]][[reset once]][[say Hello]]');
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'Partial Hello' });
    expect(textOf(events)).toBe('Partial Hello');
    expect(events.some((event) => event.type === 'retry')).toBe(true);
  });

  it('fails with the model’s refusal', async () => {
    const session = await running.open();
    expect(await session.prompt('[[status 401]]').result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_TURN_FAILED', message: expect.stringContaining('APIError') as string, retryable: false },
    });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('fails for a model that does not exist, and the session goes on', async () => {
    const session = await running.open();
    const turn = session.prompt('[[say x]]', { model: 'nobody/nothing' });
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_INVALID_OPTION' } });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('takes images and files', async () => {
    const directory = running.world.directory();
    writeFileSync(join(directory, 'notes.txt'), 'the content of the notes');
    const session = await running.open(directory);
    const turn = session.prompt([
      { type: 'text', text: '[[say seen]]' },
      { type: 'file', path: join(directory, 'notes.txt') },
      {
        type: 'image',
        mimeType: 'image/png',
        data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
      },
    ]);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'seen' });
    expect(running.world.model.requests.some(({ prompt }) => prompt.includes('the content of the notes'))).toBe(true);
  });

  it('lets a subagent speak in the turn, under its own name', async () => {
    const session = await running.open();
    const task = { description: 'sub', prompt: 'hello subagent', subagent_type: 'general' };
    const turn = session.prompt(`[[tool task ${JSON.stringify(task)}]][[say I am the agent]]`);
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'I am the agent' });
    const sub = events.filter((event) => event.type === 'text' && event.origin);
    expect(sub.map((event) => event.type === 'text' && event.text).join('')).toBe('You said: hello subagent');
    const [spawned] = sub.map((event) => event.origin?.subagentSessionId);
    expect(
      running.supervisor
        .backend('code')
        .spawnedSessions()
        .has(spawned ?? ''),
    ).toBe(true);
  });
});

describe('a directory that another client gives up on a real opencode server', () => {
  it('leaves the turn in it indeterminate, and the next prompt works', async () => {
    const session = await running.open();
    const turn = session.prompt('[[words 500 every 20]]');
    for await (const event of turn) if (event.type === 'text') break;
    const { client } = await running.supervisor.backend('code').acquire();
    await client.instance.dispose({ directory: session.directory });
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate', error: { code: 'ERR_BACKEND_EXITED' } });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });
});
