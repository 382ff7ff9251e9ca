import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor } from '../../index.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

let world: OpencodeWorld;
beforeAll(async () => {
  world = await OpencodeWorld.create();
});
afterAll(() => world.remove());

describe.each(['directory', 'session'] as const)('one connection for each %s of a real opencode server', (scope) => {
  it('gives each session its own text, and comes back when the server closes it with its directory', async () => {
    const supervisor = createSupervisor({ backends: { code: world.backend({ stream: { scope } }) } });
    const transitions: string[] = [];
    supervisor.on('transition', ({ kind, from, to }) => kind === 'stream' && transitions.push(`${from} → ${to}`));
    const open = (directory: string) =>
      supervisor.openSession({ backend: 'code', directory, chatId: directory, title: 'A title' });
    const sessions = await Promise.all([open(world.directory()), open(world.directory())]);
    const results = await Promise.all(sessions.map((session, index) => session.prompt(`[[say I am ${index}]]`).result));
    expect(results.map(({ text }) => text)).toEqual(['I am 0', 'I am 1']);

    const [first] = sessions;
    const { client } = await supervisor.backend('code').acquire();
    await client.instance.dispose({ directory: first.directory });
    expect(await first.prompt('[[say Still here]]').result).toMatchObject({
      outcome: 'completed',
      text: 'Still here',
    });
    expect(transitions).toContain('healthy → recovering');
    await supervisor.stop();
  });
});
