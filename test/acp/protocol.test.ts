import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { acp } from '../../adapters/acp/index.ts';
import type { PermissionRequest, Session } from '../../index.ts';
import { isAlive } from '../fixtures/leftovers.ts';
import { eventsOf, firstText, scriptedAgents, slow } from '../fixtures/scripted-agent.ts';
import { program } from '../fixtures/scripted-program.ts';
import { until } from '../fixtures/until.ts';

const { start, directory, root } = scriptedAgents();
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const said = async (session: Session, prompt: string) => (await session.prompt(prompt).result).text;

/** An agent that writes down what it is asked. */
function written(flags: readonly string[] = [], more: object = {}) {
  const path = join(root, `methods-${Math.random()}`);
  const agent = { env: { METHODS: path, PLAIN: 'plain' }, ...more };
  const methods = () => (existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []);
  const count = (method: string) => methods().filter((one) => one === method).length;
  return { ...start({ flags, agent }), methods, count };
}

describe('an agent is spoken to', () => {
  it('with one handshake and one new session for all its turns, and the session is closed at the end', async () => {
    const { open, methods, handle } = written();
    const session = await open();
    for (const word of ['one', 'two']) await session.prompt(`[[say ${word}]]`).result;
    await session.close();
    await until('it is gone', () => handle.status().instances.length === 0, 5_000);
    expect(methods()).toEqual(['initialize', 'session/new', 'session/prompt', 'session/prompt', 'session/close']);
  });

  it('in its directory and environment, by a client that tells its name and version', async () => {
    const { open } = written();
    const session = await open();
    expect(await said(session, '[[where PLAIN]]')).toBe(`${session.directory} plain`);
    expect(JSON.parse(await said(session, '[[client]]'))).toEqual({
      protocolVersion: 1,
      clientInfo: { name: 'agent-supervisor', version },
      clientCapabilities: {
        fs: { readTextFile: true, writeTextFile: true },
        terminal: false,
        elicitation: { form: {} },
      },
    });
  });

  it('in another directory and with nothing of the host where that is asked for', async () => {
    const cwd = directory();
    const { open } = written([], { cwd, inheritEnv: false, env: {} });
    expect(await said(await open(), '[[where VITEST]]')).toBe(`${cwd} undefined`);
  });

  it('about the MCP servers of its backend and of its session, of two with one name about the session’s, in every life', async () => {
    const ours = [
      { name: 'a', command: '/ours/a' },
      { name: 'b', command: '/ours/b', args: ['x'], env: { KEY: 'value' } },
    ];
    const { open, handle } = start({ agent: { mcpServers: ours } });
    const session = await open('chat-1', { mcpServers: [{ name: 'a', type: 'http', url: 'http://127.0.0.1:1/' }] });
    const servers = [
      { name: 'b', command: '/ours/b', args: ['x'], env: [{ name: 'KEY', value: 'value' }] },
      { type: 'http', name: 'a', url: 'http://127.0.0.1:1/', headers: [] },
    ];
    expect(JSON.parse(await said(session, '[[servers]]'))).toEqual(servers);
    await handle.restart();
    expect(JSON.parse(await said(session, '[[servers]]'))).toEqual(servers);
  });

  it('never with two prompts at once', async () => {
    const { open } = start();
    const session = await open();
    const turns = ['a', 'b', 'c'].map((word) => session.prompt(`[[words 5 every 10]][[say ${word}]]`));
    const results = await Promise.all(turns.map((turn) => turn.result));
    expect(results.map(({ outcome, text }) => [outcome, text.at(-1)])).toEqual([
      ['completed', 'a'],
      ['completed', 'b'],
      ['completed', 'c'],
    ]);
  });

  it('not at all for a prompt that is cancelled before it is sent', async () => {
    const { open, count } = written();
    const session = await open();
    const turn = session.prompt('[[say x]]', { signal: AbortSignal.abort() });
    expect(await turn.result).toMatchObject({ outcome: 'cancelled', text: '' });
    expect(await said(session, '[[say y]]')).toBe('y');
    expect(count('session/prompt')).toBe(1);
  });

  it('only about what it is configured to be: a definition without a command is refused', () => {
    expect(() => acp({} as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
    for (const wrong of [{ terminals: 'yes' }, { mcpServers: [{ name: 'x' }] }, { fileAccess: 'all' }, { comand: 'x' }])
      expect(() => acp({ command: 'x', ...wrong } as never)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error,
      );
  });
});

describe('what an agent says when no turn runs', () => {
  it('belongs to no turn', async () => {
    const { open } = start();
    const session = await open();
    const first = session.prompt('[[say first]][[later too late]]');
    expect((await first.result).text).toBe('first');
    await until(
      'it was said',
      async () => (await session.messages()).at(-1)?.text.includes('too late') === true,
      5_000,
    );
    expect(await said(session, '[[say second]]')).toBe('second');
    expect(await eventsOf(first)).toEqual([expect.objectContaining({ type: 'text', text: 'first' })]);
  });

  it('is cancelled where it asks for something, and nobody is asked', async () => {
    const asked: PermissionRequest[] = [];
    const { open } = start({
      supervisor: {
        onPermission: (request) => {
          asked.push(request);
          return { outcome: 'allow_once' };
        },
      },
    });
    const session = await open();
    await session.prompt('[[late]]').result;
    await until('it was answered', async () => (await session.messages()).at(-1)?.text === 'cancelled', 5_000);
    expect(asked).toEqual([]);
  });
});

describe('the end of an agent’s turn', () => {
  it.each(['max_tokens', 'refusal', 'max_turn_requests'])('may be %s: it is completed, and says so', async (reason) => {
    const { open } = start();
    const session = await open();
    expect(await session.prompt(`[[stop ${reason}]]`).result).toMatchObject({
      outcome: 'completed',
      stopReason: reason,
    });
  });

  it.each(['answers-a-cancel-with-an-error', 'answers-a-cancel-with-an-end'])(
    'is a cancel where one was asked for, also for an agent that %s',
    async (flag) => {
      const { open } = start({ flags: [flag] });
      const session = await open();
      const turn = session.prompt(slow);
      await firstText(turn);
      await turn.cancel();
      const { outcome, error } = await turn.result;
      expect([outcome, error]).toEqual(['cancelled', undefined]);
    },
  );

  it('waits after a cancel for what the agent still has to say', async () => {
    const { open } = start({ flags: ['says-more-after-a-cancel'] });
    const session = await open();
    const turn = session.prompt(slow);
    await firstText(turn);
    await turn.cancel();
    expect((await turn.result).text).toMatch(/and more$/);
  });
});

describe('a permission of an agent', () => {
  it('is asked for whatever the id of its request, zero among them', async () => {
    const { open } = start({
      flags: ['counts-from-zero'],
      supervisor: { onPermission: () => ({ outcome: 'allow_once' }) },
    });
    expect(await said(await open(), '[[ask allow_once]]')).toBe('the-allow_once');
  });

  it('is cancelled where the agent offers nothing to select', async () => {
    const { open } = start({ supervisor: { onPermission: () => ({ outcome: 'allow_once' }) } });
    expect(await said(await open(), '[[ask]]')).toBe('cancelled');
  });
});

describe('the process of an agent', () => {
  it('is not blocked by what it writes to its error output', async () => {
    const { open } = start();
    expect(await said(await open(), '[[stderr 4000000]][[say through]]')).toBe('through');
  });

  it('is busy while a turn runs', async () => {
    const { open, handle } = start();
    const session = await open();
    const turn = session.prompt(slow);
    await firstText(turn);
    expect(handle.status()).toMatchObject({ busy: true, detail: 'healthy.busy' });
    await turn.cancel();
    await until('it is free', () => handle.status().detail === 'healthy.available', 5_000);
    expect(handle.status().busy).toBe(false);
  });

  it('goes with what it started, also what left its group', async () => {
    const { open, handle } = start();
    const session = await open();
    const hidden = Number(await said(session, '[[hide]]'));
    expect(isAlive(hidden)).toBe(true);
    await handle.stop();
    expect(isAlive(hidden)).toBe(false);
  });

  it('is ended by force where it listens to nothing', async () => {
    const { open, handle, transitions } = start({ flags: ['is-deaf'], agent: { stopGraceMs: 200 } });
    await open();
    const { pid = 0 } = handle.status();
    await handle.stop();
    expect([isAlive(pid), transitions.at(-1)]).toEqual([false, 'stopping → idle']);
    expect(handle.status().lastError).toBeUndefined();
  });

  it('that is replaced does not end its successor with it', async () => {
    const { open, handle, transitions } = start({ flags: ['is-deaf'], agent: { stopGraceMs: 200 } });
    const session = await open();
    const { pid } = handle.status();
    const restarted = handle.restart('a test');
    expect(await said(session, '[[say new]]')).toBe('new');
    await restarted;
    expect([handle.status().pid === pid, handle.status().state]).toEqual([false, 'healthy']);
    expect(transitions.filter((line) => line.endsWith('→ healthy'))).toHaveLength(2);
  });

  it('that could not be started is started by the next call', async () => {
    const place = directory();
    const command = join(place, 'agent');
    const { open } = start({ agent: { command, args: [] } });
    await expect(open('chat-1', { directory: place })).rejects.toMatchObject({ code: 'ERR_SPAWN_FAILED' });
    writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${program}\n`, { mode: 0o755 });
    expect(await said(await open('chat-1', { directory: place }), '[[say there]]')).toBe('there');
  });

  it('has a time limit for opening a session, and is gone when that is over', async () => {
    const agent = { requestTimeoutMs: 300, restart: { maxRestarts: 0 } };
    const { open, handle } = start({ flags: ['never-opens'], agent });
    await expect(open()).rejects.toMatchObject({
      code: 'ERR_RESTART_LIMIT',
      message: expect.stringContaining('300') as string,
    });
    await until('nothing is left', () => handle.status().instances.length === 0, 5_000);
  });
});
