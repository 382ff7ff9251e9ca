import { afterEach, beforeEach, expect, it } from 'vitest';
import { opencode } from '../../adapters/opencode/index.ts';
import { createSupervisor } from '../../index.ts';
import { ForeignServer } from '../fixtures/foreign-server.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { bash } from '../fixtures/running-opencode.ts';

let world: OpencodeWorld;
let server: ForeignServer;

beforeEach(async () => {
  world = await OpencodeWorld.create();
  server = await ForeignServer.start(world);
});
afterEach(async () => {
  await server.kill();
  await world.remove();
});

it('a turn on a server that others replace by another one is indeterminate, and the session goes on there', async () => {
  const { url, password } = server;
  const supervisor = createSupervisor({ backends: { far: opencode({ url, password }) } });
  const session = await supervisor.openSession({ backend: 'far', directory: world.directory() });
  const turn = session.prompt(`${bash('sleep 300')} [[say never]]`);
  for await (const event of turn) if (event.type === 'tool' && event.tool.status === 'running') break;
  await server.kill();
  await server.start();
  expect((await turn.result).outcome).toBe('indeterminate');
  expect(await session.prompt('[[say on]]').result).toMatchObject({ outcome: 'completed', text: 'on' });
  await supervisor.stop();
}, 120_000);
