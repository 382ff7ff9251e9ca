import { describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';

const directory = '/project';
const health = { intervalMs: 10_000, timeoutMs: 5_000, failureThreshold: 3, busyGraceMs: 120_000 };
const sick = () => Promise.reject(new Error('no answer'));
/** Never answers, but minds the signal as a request does. */
const hang = (signal: AbortSignal) =>
  new Promise<void>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );

async function healthyWorld(options: Parameters<typeof fakeWorld>[0] = {}): Promise<FakeWorld> {
  const world = fakeWorld({ backend: { health }, ...options });
  await world.supervisor.backend('code').start();
  return world;
}

const state = ({ supervisor }: FakeWorld) => supervisor.status().backends['code']?.state;

describe('the health of a server', () => {
  it('is asked for every interval, and one failure is a reason to watch, not to restart', async () => {
    const world = await healthyWorld();
    await world.clock.advance(30_000);
    expect(world.backend.calls).toEqual(['probe', 'probe', 'probe']);
    world.backend.onProbe = sick;
    await world.clock.advance(10_000);
    expect(world.supervisor.status().backends['code']).toMatchObject({ state: 'unhealthy', consecutiveFailures: 1 });
    world.backend.onProbe = () => Promise.resolve();
    await world.clock.advance(10_000);
    expect(world.supervisor.status().backends['code']).toMatchObject({ state: 'healthy', consecutiveFailures: 0 });
    expect(world.backend.lives).toHaveLength(1);
  });

  it('is not asked for while the server starts: no failure is counted against it', async () => {
    const world = fakeWorld({ backend: { health } });
    world.backend.onLaunch = () => undefined;
    void world.supervisor.backend('code').start();
    await world.clock.advance(29_000);
    expect(world.backend.calls).toEqual([]);
    expect(world.supervisor.status().backends['code']).toMatchObject({ state: 'starting', consecutiveFailures: 0 });
  });

  it('ends the life of an idle server at the threshold, and the next life starts with a clean count', async () => {
    const world = await healthyWorld();
    world.backend.onProbe = sick;
    await world.clock.advance(29_999);
    expect(world.backend.lives).toHaveLength(1);
    await world.clock.advance(1);
    expect(world.backend.lives[0]?.calls[0]).toBe('stop');
    expect(world.backend.lives).toHaveLength(2);
    expect(world.supervisor.status().backends['code']).toMatchObject({
      state: 'healthy',
      consecutiveFailures: 0,
      restarts: 1,
    });
    expect(world.events.transition.find(({ to }) => to === 'recovering')?.reason).toContain('3 checks in a row');
  });

  it('restarts at the first failure where the threshold is one', async () => {
    const world = await healthyWorld({ backend: { health: { ...health, failureThreshold: 1 } } });
    world.backend.onProbe = sick;
    await world.clock.advance(10_000);
    expect(world.backend.lives).toHaveLength(2);
    expect(world.transitions).not.toContain('code healthy → unhealthy');
  });

  it('counts a check that takes too long as failed, and never has two checks under way', async () => {
    const world = await healthyWorld();
    let underWay = 0;
    let most = 0;
    world.backend.onProbe = async (signal) => {
      most = Math.max(most, (underWay += 1));
      await hang(signal).finally(() => (underWay -= 1));
    };
    await world.clock.advance(14_999);
    expect(state(world)).toBe('healthy');
    await world.clock.advance(1);
    expect(state(world)).toBe('unhealthy');
    await world.clock.advance(30_000);
    expect(most).toBe(1);
    expect(world.backend.lives).toHaveLength(2);
  });

  it('keeps a busy server through the grace, and replaces it when the grace is over', async () => {
    const world = await healthyWorld();
    const session = await world.supervisor.openSession({ backend: 'code', directory });
    const turn = session.prompt('work');
    await world.clock.advance(0);
    world.backend.onProbe = sick;
    await world.clock.advance(10_000 + 119_999);
    expect([state(world), world.backend.lives.length]).toEqual(['unhealthy', 1]);
    world.backend.onReconcile = ([running]) => {
      running?.fact({ kind: 'reconciled', place: 'present', working: false, otherLife: true, overdue: false });
      return Promise.resolve();
    };
    await world.clock.advance(1);
    expect(world.backend.lives).toHaveLength(2);
    await world.clock.advance(1_000);
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate' });
  });

  it('forgets the grace when the turn ends: an idle server that failed too often is replaced at once', async () => {
    const world = await healthyWorld();
    const session = await world.supervisor.openSession({ backend: 'code', directory });
    void session.prompt('work');
    await world.clock.advance(0);
    world.backend.onProbe = sick;
    await world.clock.advance(40_000);
    expect([state(world), world.backend.lives.length]).toEqual(['unhealthy', 1]);
    world.backend.turn.complete();
    await world.clock.advance(0);
    expect(world.backend.lives).toHaveLength(2);
  });

  it('begins the grace anew when the server passed a check in between', async () => {
    const world = await healthyWorld();
    const session = await world.supervisor.openSession({ backend: 'code', directory });
    void session.prompt('work');
    await world.clock.advance(0);
    world.backend.onProbe = sick;
    await world.clock.advance(100_000);
    world.backend.onProbe = () => Promise.resolve();
    await world.clock.advance(10_000);
    world.backend.onProbe = sick;
    await world.clock.advance(100_000);
    expect([state(world), world.backend.lives.length]).toEqual(['unhealthy', 1]);
  });

  it('takes traffic for proof of life: a server that talks is not asked', async () => {
    const world = await healthyWorld();
    world.backend.onProbe = sick;
    for (let count = 0; count < 20; count += 1) {
      world.backend.seenAt = world.clock.now();
      await world.clock.advance(5_000);
    }
    expect([state(world), world.backend.calls]).toEqual(['healthy', []]);
  });

  it('is asked for at once by checkNow, whatever the traffic says', async () => {
    const world = await healthyWorld();
    world.backend.seenAt = world.clock.now();
    world.backend.onProbe = sick;
    expect(await world.supervisor.backend('code').checkNow()).toMatchObject({
      state: 'unhealthy',
      consecutiveFailures: 1,
    });
  });

  it('is asked for anew by checkNow where a check is under way, and the answer of that one is not waited for', async () => {
    const { supervisor, backend, clock } = fakeWorld();
    await supervisor.backend('code').start();
    const signals: AbortSignal[] = [];
    backend.onProbe = (signal) => {
      signals.push(signal);
      return signals.length === 1 ? new Promise(() => undefined) : Promise.resolve();
    };
    await clock.advance(10_000);
    const checked = supervisor.backend('code').checkNow();
    await clock.advance(0);
    expect(await checked).toMatchObject({ state: 'healthy' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  it('is not watched where that is switched off', async () => {
    const world = await healthyWorld({ backend: { health: { ...health, enabled: false } } });
    world.backend.onProbe = sick;
    await world.clock.advance(3_600_000);
    expect([state(world), world.backend.calls]).toEqual(['healthy', []]);
  });

  it('is asked for on request also where it is not watched', async () => {
    const world = await healthyWorld({ backend: { health: { ...health, enabled: false } } });
    world.backend.onProbe = sick;
    await world.clock.advance(600_000);
    expect([state(world), world.backend.calls]).toEqual(['healthy', []]);
    const { state: checked, consecutiveFailures } = await world.supervisor.backend('code').checkNow();
    expect([checked, consecutiveFailures, world.backend.lives.length]).toEqual(['unhealthy', 1, 1]);
  });
});
