import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor } from '../../index.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

let world: OpencodeWorld;
const create = () => createSupervisor({ backends: { code: world.backend() } });
let supervisor: ReturnType<typeof create>;

beforeAll(async () => {
  world = await OpencodeWorld.create();
  supervisor = create();
});
afterAll(async () => {
  await supervisor.stop();
  await world.remove();
});

const program = fileURLToPath(new URL('../fixtures/programs/mcp-server.mjs', import.meta.url));
const probe = { name: 'probe', command: process.execPath, args: [program] };

describe('the MCP servers of a session', () => {
  const ask = '[[tool probe_echo {"text":"hello"}]][[say Done.]]';
  const open = (directory: string) =>
    supervisor.openSession({ backend: 'code', directory, title: 'A title', mcpServers: [probe] });

  it('give the agent their tools, also in the next life of the server', async () => {
    const session = await open(world.directory());
    for (const life of [1, 2]) {
      const outputs = [];
      const turn = session.prompt(ask);
      for await (const event of turn) if (event.type === 'tool') outputs.push(event.tool.output);
      expect([life, (await turn.result).outcome, outputs.at(-1)]).toEqual([life, 'completed', 'MCP says hello']);
      if (life === 1) await supervisor.backend('code').restart();
    }
  });

  it('are those of its fork, too', async () => {
    const session = await open(world.directory());
    const fork = await session.fork();
    await session.close();
    await supervisor.backend('code').restart();
    await fork.prompt(ask).result;
    expect(world.model.requests.at(-1)?.tools).toContain('probe_echo');
  });

  it('are there again when somebody gave up the directory', async () => {
    const directory = world.directory();
    const session = await open(directory);
    const { client } = await supervisor.backend('code').acquire();
    await client.instance.dispose({ directory });
    await session.prompt(ask).result;
    expect(world.model.requests.at(-1)?.tools).toContain('probe_echo');
  });
});

describe('what a session is to be answered by', () => {
  it.each<[string, object, string]>([
    ['a model', { model: 'scripted/nope' }, 'model: expected a model of scripted: scripted, got "scripted/nope"'],
    ['a provider', { model: 'a/b' }, 'model: expected a model of a configured provider ('],
    ['an agent', { agent: 'nobody' }, 'agent: expected one of build, '],
    ['a mode', { mode: 'nobody' }, 'mode: expected one of build, '],
  ])('is refused where there is no such thing: %s', async (_, choice, message) => {
    const opening = supervisor.openSession({ backend: 'code', directory: world.directory(), ...choice });
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message) as string,
    });
  });

  it('is refused before anything is changed, and a fork of it leaves nothing on the server', async () => {
    const directory = world.directory();
    const session = await supervisor.openSession({ backend: 'code', directory, title: 'A title' });
    await expect(session.setMode('nobody')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(session.setModel('a/b')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect(await session.prompt('[[say Hello]]').result).toMatchObject({ outcome: 'completed' });
    expect(await supervisor.backend('code').listSessions({ directory })).toHaveLength(1);
  });
});

describe('an agent that a prompt asks for', () => {
  it('speaks, and the next prompt is again for the agent of the session', async () => {
    const directory = world.directory();
    const session = await supervisor.openSession({ backend: 'code', directory, title: 'A title' });
    await session.prompt('[[say Hello]]', { agent: 'plan' }).result;
    await session.prompt('[[say Hello]]').result;
    const { client } = await supervisor.backend('code').acquire();
    const { data = [] } = await client.session.messages({ sessionID: session.status().agentSessionId, directory });
    expect(data.map(({ info }) => info.agent)).toEqual(['plan', 'plan', 'build', 'build']);
  });

  it('is refused where there is none of the name: the server would never answer', async () => {
    const session = await supervisor.openSession({ backend: 'code', directory: world.directory(), title: 'A title' });
    const result = await session.prompt('[[say Hello]]', { agent: 'nobody' }).result;
    expect(result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_INVALID_OPTION' } });
    expect(await session.prompt('[[say Hello]]').result).toMatchObject({ outcome: 'completed', text: 'Hello' });
  });
});
