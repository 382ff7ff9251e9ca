import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { opencode } from '../../adapters/opencode/index.ts';
import { createSupervisor, type Supervisor, type SupervisorEvents } from '../../index.ts';
import { CuttingProxy } from '../fixtures/cutting-proxy.ts';
import { ForeignServer } from '../fixtures/foreign-server.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { bash } from '../fixtures/running-opencode.ts';
import { until } from '../fixtures/until.ts';

let world: OpencodeWorld;
let server: ForeignServer;
let proxy: CuttingProxy;
let supervisor: Supervisor;

beforeAll(async () => {
  world = await OpencodeWorld.create();
  const config = world.config({ permission: { bash: 'ask' } });
  server = await ForeignServer.start(world, 'a-password', config);
  proxy = await CuttingProxy.start(server.port);
});
afterEach(() => supervisor.stop({ graceMs: 0 }));
afterAll(async () => {
  await proxy.stop();
  await server.kill();
  await world.remove();
});

/** A supervisor whose connections can be cut, and whose permissions wait for somebody who decides. */
async function supervised() {
  supervisor = createSupervisor({
    backends: {
      far: opencode({
        url: proxy.url,
        password: server.password,
        stream: { backoff: { baseMs: 50, maxMs: 200, maxAttempts: 1_000 } },
      }),
    },
    onPermission: () => undefined,
    onQuestion: () => undefined,
  });
  const asked: string[] = [];
  const connections: string[] = [];
  supervisor.on(
    'decision',
    ({ type, request }: SupervisorEvents['decision']) => type === 'asked' && asked.push(request.id),
  );
  supervisor.on('transition', ({ kind, to }) => kind === 'stream' && to === 'healthy' && connections.push(to));
  const directory = world.directory();
  const session = await supervisor.openSession({ backend: 'far', directory });
  return { session, directory, asked, connections };
}

const question = `[[tool question ${JSON.stringify({
  questions: [{ question: 'Which?', header: 'Which', options: [{ label: 'Blue', description: 'b' }] }],
})}]]`;

describe('what an agent asks', () => {
  it('stays the same request while the connection to its server is cut again and again, and nobody is asked twice', async () => {
    const { session, asked, connections } = await supervised();
    const turn = session.prompt(`${bash('touch kept.txt')}[[say done]]`);
    await until('it asks', () => asked.length > 0, 20_000);
    for (let cuts = 1; cuts <= 3; cuts += 1) {
      proxy.cut();
      await until('it is connected again', () => connections.length > cuts, 10_000);
    }
    expect([asked.length, supervisor.pendingDecisions().map(({ id }) => id)]).toEqual([1, asked]);
    expect(supervisor.decide(asked[0] ?? '', { outcome: 'allow_once' })).toBe(true);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'done' });
    expect(asked).toHaveLength(1);
  });

  it.each<[string, string, string]>([
    ['a permission', 'permission', bash('touch missed.txt')],
    ['a question', 'question', question],
  ])('is offered, once, when the connection is back: %s that was asked for meanwhile', async (_, kind, script) => {
    const { session, directory, asked } = await supervised();
    // The connection is cut while it says the words: long before it asks.
    const turn = session.prompt(`[[words 200 every 20]]${script}[[say done]]`);
    for await (const event of turn) if (event.type === 'text') break;
    proxy.isShut = true;
    proxy.cut();
    const listed = () => server.ask(`/${kind}?directory=${encodeURIComponent(directory)}`) as Promise<unknown[]>;
    await until('the server waits for an answer', async () => (await listed()).length > 0, 20_000);
    expect(asked).toEqual([]);
    proxy.isShut = false;
    await until('it is offered', () => asked.length > 0, 20_000);
    const [request] = supervisor.pendingDecisions();
    expect([request?.type, request?.id]).toEqual([kind, asked[0]]);
    const answer =
      kind === 'permission' ? { outcome: 'allow_once' as const } : { action: 'accept' as const, answers: [['Blue']] };
    supervisor.decide(asked[0] ?? '', answer);
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
    expect(asked).toHaveLength(1);
  });
});
