import { describe, expect, it } from 'vitest';
import type { Session } from '../../index.ts';
import { scriptedAgents } from '../fixtures/scripted-agent.ts';
import { until } from '../fixtures/until.ts';

const { start, directory } = scriptedAgents();
const said = async (session: Session, prompt: string) => (await session.prompt(prompt).result).text;

describe('the sessions that an agent keeps', () => {
  it('are listed, page by page, for one directory', async () => {
    const { open, handle } = start();
    const place = directory();
    const sessions = [];
    for (const chatId of ['a', 'b', 'c']) {
      const session = await open(chatId, { directory: place });
      await session.prompt('[[say x]]').result;
      sessions.push(session.agentSessionId);
    }
    const listed = await handle.listSessions({ directory: place });
    expect(listed.map(({ id }) => id).toSorted()).toEqual(sessions.toSorted());
    expect(listed[0]).toMatchObject({ directory: place, title: `Session of ${place}` });
  });

  it('are listed without an open one, by an agent that ends when it has answered', async () => {
    const { open, handle } = start();
    const place = directory();
    const session = await open('a', { directory: place });
    await session.prompt('[[say x]]').result;
    await session.close();
    expect(await handle.listSessions({ directory: place })).toMatchObject([{ id: session.agentSessionId }]);
    await until('nothing runs', () => handle.status().instances.length === 0, 5_000);
  });

  it('are forked: the new one remembers what the old one does, and goes its own way', async () => {
    const { open } = start();
    const session = await open();
    await session.prompt('[[say one]]').result;
    const fork = await session.fork();
    expect([fork.agentSessionId === session.agentSessionId, fork.chatId === session.chatId]).toEqual([false, false]);
    await session.prompt('[[say two]]').result;
    expect(await said(fork, '[[recall]]')).toBe('[[say one]]');
  });

  it('are deleted where that is asked for, at once or later', async () => {
    for (const isLater of [false, true]) {
      const { open, handle } = start();
      const place = directory();
      const session = await open('a', { directory: place });
      await session.prompt('[[say x]]').result;
      await session.close({ delete: !isLater });
      if (isLater) await session.close({ delete: true });
      expect(await handle.listSessions({ directory: place })).toEqual([]);
      await until('nothing runs', () => handle.status().instances.length === 0, 5_000);
    }
  });

  it('are not forked by an agent that says that it can, and cannot', async () => {
    const { open } = start({ flags: ['lies-about-forks'] });
    await expect((await open()).fork()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });

  it('are closed, and the host is told, where the agent can delete none', async () => {
    const { open, handle } = start({ flags: ['can-do-little'] });
    const session = await open();
    expect(session.capabilities).toMatchObject({ fork: false, listSessions: false, deleteSession: false });
    await expect(session.fork()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    await expect(handle.listSessions({ directory: session.directory })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
    });
    await expect(session.close({ delete: true })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    expect(await session.prompt('x').result).toMatchObject({ error: { code: 'ERR_SESSION_CLOSED' } });
  });
});

describe('a session of an agent that is open', () => {
  it('is not opened for a second chat, and no agent is left over for it', async () => {
    const { open, handle } = start();
    const session = await open('a');
    await session.prompt('[[say x]]').result;
    const { agentSessionId: resume, directory: place } = session;
    await expect(open('b', { directory: place, resume })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect(handle.status().instances).toHaveLength(1);
  });

  it('and is closed while it moves leaves no agent behind', async () => {
    const { open, handle, supervisor } = start();
    const session = await open('a');
    const moving = open('a', { directory: directory() });
    await until('it moves', () => handle.status().instances.length === 2, 5_000);
    await session.close();
    const moved = await moving;
    expect(await moved.prompt('[[say here]]').result).toMatchObject({ outcome: 'completed', text: 'here' });
    expect(supervisor.status().sessions).toHaveLength(1);
    await moved.close();
    await until('none is left', () => handle.status().instances.length === 0, 5_000);
  });

  it('cannot be deleted later by an agent that cannot continue it, and the host is told', async () => {
    const { open } = start({ flags: ['cannot-load'] });
    const session = await open();
    await session.prompt('[[say x]]').result;
    await session.close();
    await expect(session.close({ delete: true })).rejects.toMatchObject({ code: 'ERR_SESSION_NOT_FOUND' });
  });
});

describe('the messages of an agent’s session', () => {
  it('are what was said since it was opened', async () => {
    const { open } = start();
    const session = await open();
    expect(await session.messages()).toEqual([]);
    await session.prompt('[[say one ]][[think hm]][[say and more]]').result;
    await session.prompt('[[say two]]').result;
    expect((await session.messages()).map(({ role, text }) => [role, text])).toEqual([
      ['user', '[[say one ]][[think hm]][[say and more]]'],
      ['assistant', 'one and more'],
      ['user', '[[say two]]'],
      ['assistant', 'two'],
    ]);
  });

  it('are what the agent tells of it, where it was loaded', async () => {
    const { open, handle } = start();
    const session = await open();
    await session.prompt('[[say one]]').result;
    await handle.restart();
    expect((await session.messages()).map(({ role, text }) => [role, text])).toEqual([
      ['user', '[[say one]]'],
      ['assistant', 'replayed'],
    ]);
  });
});

describe('what an agent tells of a session', () => {
  it('is kept between its turns, too: commands, title and context', async () => {
    const { open } = start({ flags: ['tells-its-commands'] });
    const session = await open();
    await until('the commands came', () => session.choices().commands.length > 0, 5_000);
    expect(session.choices().commands).toEqual([{ name: 'compact', description: 'Makes room' }]);
    await session.prompt('[[title Of something]][[usage 300 0.5]]').result;
    expect(session.status()).toMatchObject({ title: 'Of something', context: { tokens: 300, maxTokens: 1_000 } });
  });

  it('is of the usage of a turn: the context, the cost of this turn alone, and the tokens of all its steps', async () => {
    const { open } = start({ flags: ['tells-its-usage'] });
    const session = await open();
    const context = { contextTokens: 200, maxContextTokens: 1_000 };
    await session.prompt('[[usage 100 0.25]]').result;
    expect((await session.prompt('[[usage 200 0.75]]').result).usage).toEqual({
      ...context,
      cost: 0.5,
      inputTokens: 10,
      outputTokens: 5,
      totalTokens: 15,
    });
    const { open: another } = start();
    expect((await (await another()).prompt('[[beside 7]][[say x]][[beside 8]]').result).usage).toEqual({
      inputTokens: 15,
    });
  });
});
