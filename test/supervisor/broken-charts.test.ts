import { describe, expect, it } from 'vitest';
import { createSupervisor } from '../../index.ts';
import { FakeAgents } from '../fixtures/fake-agents.ts';
import type { FakeBackend } from '../fixtures/fake-backend.ts';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const open = { backend: 'code', directory: '/project', chatId: 'chat-1' } as const;

describe('a chart that breaks', () => {
  it('is restarted, its resources are released, and its sessions go on', async () => {
    const { supervisor, backend, clock, events } = fakeWorld();
    const session = await supervisor.openSession(open);
    await clock.advance(0);
    breakNextLaunch(backend);
    backend.life.end();
    await clock.advance(1_000);
    expect(events.warning.at(-1)).toMatchObject({ code: 'ERR_INTERNAL', backend: 'code' });
    expect(backend.connections.every((connection) => connection.isClosed)).toBe(true);
    backend.onTurn = (turn) => (turn.onSend = () => turn.complete('after the break'));
    const turn = session.prompt('work');
    await clock.advance(1_000);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'after the break' });
    expect(supervisor.status()).toMatchObject({ state: 'running', backends: { code: { state: 'healthy' } } });
  });

  it('too often is given up, and takes nobody with it', async () => {
    const { supervisor, backend, clock } = fakeWorld();
    backend.launch = () => {
      throw new Error('the driver is broken');
    };
    for (let count = 0; count < 6; count += 1) {
      const refused = expect(supervisor.openSession(open)).rejects.toMatchObject({ code: 'ERR_INTERNAL' });
      await clock.advance(10);
      await refused;
    }
    expect(supervisor.status()).toMatchObject({ state: 'running', backends: { code: { state: 'failed' } } });
    await expect(supervisor.openSession(open)).rejects.toMatchObject({ code: 'ERR_INTERNAL' });
    expect(await supervisor.backend('code').restart()).toMatchObject({ state: 'failed' });
    await supervisor.stop();
    expect(supervisor.status().state).toBe('stopped');
  });
});

describe('a stream chart that breaks', () => {
  const breakStream = async ({ backend, clock }: FakeWorld) => {
    const { setTimeout } = clock;
    clock.setTimeout = () => {
      clock.setTimeout = setTimeout;
      throw new Error('the clock is broken');
    };
    backend.connection.observer.failed(true, { code: 'ERR_STREAM_FAILED', message: 'reset' });
    await clock.advance(1_000);
  };

  it('is opened anew: its connection is closed, the turn goes on, and the server is left alone', async () => {
    const world = fakeWorld();
    const { supervisor, backend, clock, events } = world;
    const session = await supervisor.openSession(open);
    const turn = session.prompt('work');
    await clock.advance(0);
    const [broken] = backend.connections;
    await breakStream(world);
    expect(events.warning).toMatchObject([{ code: 'ERR_INTERNAL', backend: 'code' }]);
    expect(backend.connections.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    expect(backend.connection).not.toBe(broken);
    expect(backend.calls).toContain('reconcile');
    backend.turn.complete('after the break');
    await clock.advance(1_000);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'after the break' });
    expect(backend.lives).toHaveLength(1);
  });

  it('too often is left until the next prompt, which settles in any case', async () => {
    const world = fakeWorld();
    const { supervisor, backend, clock } = world;
    const session = await supervisor.openSession(open);
    for (let count = 0; count < 6; count += 1) await breakStream(world);
    expect(backend.connections).toHaveLength(6);
    expect(session.status().state).toBe('failed');
    backend.onTurn = (turn) => (turn.onSend = () => turn.complete('all the same'));
    const turn = session.prompt('work');
    await clock.advance(1_000);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'all the same' });
    await supervisor.stop();
  });
});

describe('an agent’s chart that breaks', () => {
  it('is opened anew, and the agent’s next process has its conversations open again', async () => {
    const clock = new VirtualClock();
    const agents = new FakeAgents({}, { health: { enabled: false } });
    const supervisor = createSupervisor({ backends: { agent: agents.definition }, clock });
    const opening = supervisor.openSession({ ...open, backend: 'agent' });
    await clock.advance(0);
    const session = await opening;
    agents.running[0]?.end();
    breakNextLaunch(agents);
    const prompt = async (text: string) => {
      const turn = session.prompt(text);
      await clock.advance(1_000);
      return turn.result;
    };
    expect(await prompt('breaks it')).toMatchObject({ outcome: 'failed', error: { code: 'ERR_INTERNAL' } });
    expect(await prompt('after the break')).toMatchObject({ outcome: 'completed', text: 'after the break' });
    expect(session.status()).toMatchObject({ state: 'healthy', restored: 'restored' });
    const stopped = supervisor.stop();
    await clock.advance(10_000);
    await stopped;
  });
});

/** The next launch throws where no driver may throw: inside the chart's own actor. */
function breakNextLaunch(driver: Pick<FakeBackend, 'launch'> | Pick<FakeAgents, 'launch'>): void {
  const { launch } = driver;
  driver.launch = () => {
    driver.launch = launch;
    throw new Error('the driver is broken');
  };
}
