import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor, type McpServer, type Session, type Supervisor } from '../../index.ts';
import { directoriesHeld } from '../chaos/directories.ts';
import { processesCalled } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { until } from '../fixtures/until.ts';

const program = fileURLToPath(new URL('../fixtures/programs/mcp-server.mjs', import.meta.url));
const LIMIT_MS = 10_000;

let world: OpencodeWorld;
let supervisor: Supervisor;

beforeAll(async () => {
  world = await OpencodeWorld.create();
  const pool = { maxWarm: 3, idleTtlMs: 600_000, sweepMs: 600_000 };
  supervisor = createSupervisor({ backends: { code: world.backend() }, pool });
  await supervisor.backend('code').start();
});
afterAll(async () => {
  await supervisor.stop({ graceMs: 0 });
  await world.remove();
});

const open = (mcpServers: McpServer[] = []): Promise<Session> =>
  supervisor.openSession({ backend: 'code', directory: world.directory(), title: 'A title', mcpServers });
const said = async (session: Session, prompt: string) => (await session.prompt(prompt).result).text;
const echo = () => ({ name: 'echo', command: process.execPath, args: [program, world.root] });
const echoes = () => processesCalled(program, world.root).length;
const held = (directories: readonly string[]) => {
  const names = directories.toSorted().join(', ');
  return until(`held are ${names}`, () => directoriesHeld(world).toSorted().join(', ') === names, LIMIT_MS);
};

describe('directories on a server that may hold three', () => {
  it('are given up in the order in which they were used, with their MCP servers, and their sessions go on', async () => {
    const favourite = await open();
    const second = await open([echo()]);
    expect(await said(second, '[[say Remember this]]')).toBe('Remember this');
    expect(echoes()).toBe(1);
    const directories = [second.directory];
    for (let index = 3; index <= 12; index += 1) {
      if (index % 2 === 1) await favourite.messages();
      directories.push((await open()).directory);
    }
    await held([favourite.directory, ...directories.slice(-2)]);
    await until('the MCP server is gone', () => echoes() === 0, LIMIT_MS);
    expect(await said(second, '[[recall]]')).toBe('say Remember this');
    await held([second.directory, ...directories.slice(-2)]);
    expect([echoes(), supervisor.backend('code').status().restarts]).toEqual([1, 0]);
  });

  it('stay where a turn runs, however many others are used meanwhile', async () => {
    const busy = await open();
    const turn = busy.prompt('[[words 40 every 100]][[say done]]');
    for await (const { type } of turn) if (type === 'text') break;
    const others = [await open(), await open(), await open(), await open()].map(({ directory }) => directory);
    await held([busy.directory, ...others.slice(-2)]);
    expect((await turn.result).text).toMatch(/done$/);
  });
});
