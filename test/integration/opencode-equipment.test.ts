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

  it('are there again when somebody gave up the directory', async () => {
    const directory = world.directory();
    const session = await open(directory);
    const { client } = await supervisor.backend('code').acquire();
    await client.instance.dispose({ directory });
    await session.prompt(ask).result;
    expect(world.model.requests.at(-1)?.tools).toContain('probe_echo');
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
