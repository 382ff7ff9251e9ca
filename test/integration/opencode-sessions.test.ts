import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createSupervisor, type AgentEvent } from '../../index.ts';
import { bash, runningOpencode } from '../fixtures/running-opencode.ts';
import { eventsOf } from '../fixtures/scripted-agent.ts';

const running = runningOpencode();
const textOf = (events: readonly AgentEvent[]) =>
  events.map((event) => (event.type === 'text' && !event.origin ? event.text : '')).join('');

describe('sessions on a real opencode server', () => {
  it('share one connection, twenty streaming at once in one directory, and each gets exactly its own text', async () => {
    const connections: string[] = [];
    const onRequest = (message: unknown) => {
      const { path } = (message as { request: { path: string } }).request;
      if (path.startsWith('/global/event') || path.startsWith('/event')) connections.push(path);
    };
    subscribe('http.client.request.start', onRequest);
    const own = createSupervisor({ backends: { code: running.world.backend() } });
    try {
      const directory = running.world.directory();
      const sessions = await Promise.all(
        Array.from({ length: 20 }, () => own.openSession({ backend: 'code', directory })),
      );
      const words = (index: number) => Array.from({ length: 30 }, (_, word) => `s${index}w${word} `).join('');
      const turns = sessions.map((session, index) => session.prompt(`[[say ${words(index)}]][[words 20 every 5]]`));
      const streamed = await Promise.all(turns.map(async (turn) => textOf(await eventsOf(turn))));
      const tail = Array.from({ length: 20 }, (_, word) => `w${word} `).join('');
      expect(streamed).toEqual(sessions.map((_, index) => words(index) + tail));
      expect(connections).toEqual(['/global/event']);
    } finally {
      unsubscribe('http.client.request.start', onRequest);
      await own.stop();
    }
  });

  it('can be listed, continued by id, forked, and deleted', async () => {
    const directory = running.world.directory();
    const session = await running.open(directory);
    await session.prompt('[[say remember me]]').result;
    const listed = await running.supervisor.backend('code').listSessions({ directory });
    expect(listed).toMatchObject([{ id: session.agentSessionId, title: 'A title', directory }]);
    await session.close();
    const again = await running.supervisor.openSession({ backend: 'code', directory, resume: session.agentSessionId });
    expect(again.status().restored).toBe('restored');
    expect((await again.messages()).map(({ text }) => text)).toEqual(['[[say remember me]]', 'remember me']);
    const forked = await again.fork();
    expect(forked.agentSessionId).not.toBe(session.agentSessionId);
    expect((await forked.messages()).map(({ text }) => text)).toEqual(['[[say remember me]]', 'remember me']);
    await forked.close({ delete: true });
    expect((await running.supervisor.backend('code').listSessions({ directory })).map(({ id }) => id)).not.toContain(
      forked.agentSessionId,
    );
  });

  it.each<[string, () => object, string]>([
    ['a relative directory', () => ({ directory: 'project' }), 'expected an absolute path'],
    ['a directory that does not exist', () => ({ directory: join(running.world.root, 'nowhere') }), 'nothing at'],
    ['a directory that is a file', () => ({ directory: '/etc/hostname' }), 'a file at'],
    [
      'a model without a provider',
      () => ({ directory: running.world.directory(), model: 'gpt' }),
      'model: expected "provider/model"',
    ],
    ['a session id that is none', () => ({ directory: running.world.directory(), resume: 'abc' }), 'resume: expected'],
  ])('are not opened with %s', async (_, options, message) => {
    await expect(running.supervisor.openSession({ backend: 'code', ...options() } as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message) as string,
    });
  });

  it('that the server does not know cannot be continued', async () => {
    const opening = running.supervisor.openSession({
      backend: 'code',
      directory: running.world.directory(),
      resume: 'ses_0000000000000000000000000A',
    });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_SESSION_NOT_FOUND' });
  });

  it('in a directory whose configuration is broken are refused, with its path and without its text; the server and the others go on', async () => {
    const broken = running.world.directory();
    writeFileSync(join(broken, 'opencode.json'), '{"model": 5, "canary": "sk-secret-canary"}');
    const session = await running.open();
    const refused: unknown = await running.open(broken).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining(join(broken, 'opencode.json')) as string,
    });
    expect((refused as Error).message).not.toContain('canary');
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed' });
    expect(running.supervisor.backend('code').status()).toMatchObject({ state: 'healthy', restarts: 0 });
  });
});

describe('secrets', () => {
  it('in the configuration reach the model, and no tool of the agent', async () => {
    const session = await running.open();
    const turn = session.prompt(`${bash('env')}[[say done]]`);
    const events = await eventsOf(turn);
    const output =
      events
        .filter((event) => event.type === 'tool')
        .map((event) => event.tool.output)
        .at(-1) ?? '';
    expect(output).toContain('OPENCODE_CONFIG_CONTENT');
    expect(output).not.toContain('scripted-key-canary');
    expect(running.world.model.requests.at(-1)?.authorization).toBe('Bearer scripted-key-canary');
    expect(JSON.stringify(running.supervisor.status())).not.toContain('canary');
  });

  it('protect the server: it answers nobody without its password', async () => {
    const { baseUrl, client } = await running.supervisor.backend('code').acquire();
    expect((await fetch(`${baseUrl}/global/health`)).status).toBe(401);
    expect((await client.global.health()).data).toMatchObject({ healthy: true });
  });
});
