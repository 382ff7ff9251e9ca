import { describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const url = 'http://127.0.0.1:4096';
const health = { intervalMs: 10_000, timeoutMs: 5_000, failureThreshold: 3, busyGraceMs: 120_000 };
const silent = () => Promise.reject(new Error('GET /global/health: no answer'));
const message = `External server unavailable (base_url=${url}): GET /global/health: no answer`;

async function connected(): Promise<FakeWorld> {
  const world = fakeWorld({ backend: { url, health } });
  await world.supervisor.backend('code').start();
  return world;
}

const status = ({ supervisor }: FakeWorld) => supervisor.status().backends['code'];
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a server that somebody else runs', () => {
  it('is never launched, whatever is asked for', async () => {
    const world = await connected();
    const handle = world.supervisor.backend('code');
    for (const ask of [
      () => handle.acquire(),
      () => handle.restart(),
      () => handle.checkNow(),
      () => handle.stop(),
      () => handle.start(),
    ])
      await ask();
    expect([world.backend.lives, status(world)?.state, status(world)?.port]).toEqual([[], 'healthy', 4096]);
  });

  it('that fails its checks is watched up to the threshold, and then given up until a restart', async () => {
    const world = await connected();
    world.backend.onProbe = silent;
    await world.clock.advance(10_000);
    expect(status(world)).toMatchObject({ state: 'unhealthy', consecutiveFailures: 1 });
    await world.clock.advance(20_000);
    expect(status(world)).toMatchObject({ state: 'failed', lastError: { code: 'ERR_EXTERNAL_UNAVAILABLE', message } });
    world.backend.onProbe = () => Promise.resolve();
    await world.clock.advance(600_000);
    expect(await world.supervisor.backend('code').start()).toMatchObject({ state: 'failed', lastError: { message } });
    expect(world.clock.pending).toEqual([]);
    expect(await world.supervisor.backend('code').restart()).toMatchObject({ state: 'healthy' });
  });

  it('that does not answer for a lease is given up at once; later callers get the same error, and nothing is asked again', async () => {
    const world = await connected();
    world.backend.onProbe = silent;
    const asked = () => failure(world.supervisor.backend('code').acquire());
    const first = await Promise.all([asked(), asked()]);
    const probes = world.backend.calls.length;
    const second = await asked();
    for (const error of [...first, second]) expect(error).toMatchObject({ code: 'ERR_EXTERNAL_UNAVAILABLE' });
    expect([(second as Error).message, status(world)?.state]).toEqual([status(world)?.lastError?.message, 'failed']);
    expect(world.backend.calls.length).toBe(probes);
  });

  it('that works for a turn is not given up for a lease', async () => {
    const world = await connected();
    const session = await world.supervisor.openSession({ backend: 'code', directory: '/project' });
    void session.prompt('work');
    await world.clock.advance(0);
    world.backend.onProbe = silent;
    expect(await failure(world.supervisor.backend('code').acquire())).toMatchObject({ code: 'ERR_BACKEND_EXITED' });
    expect(status(world)?.state).toBe('healthy');
    await world.clock.advance(10_000);
    await world.clock.advance(health.busyGraceMs - 1);
    expect(status(world)?.state).toBe('unhealthy');
    await world.clock.advance(1);
    expect(status(world)?.state).toBe('failed');
  });

  it('whose way to ready takes too long is given up, and can be asked again', async () => {
    const world = fakeWorld({ backend: { url, readyTimeoutMs: 1_000 } });
    world.backend.onVerify = () => new Promise(() => undefined);
    const starting = world.supervisor.backend('code').start();
    await world.clock.advance(1_000);
    expect((await starting).lastError).toMatchObject({ code: 'ERR_EXTERNAL_UNAVAILABLE' });
    world.backend.onVerify = () => Promise.resolve({ version: '1.0.0' });
    expect((await world.supervisor.backend('code').restart()).state).toBe('healthy');
  });

  it('is let go by a stop of the supervisor in every state, and nothing waits', async () => {
    for (const arrange of [
      (world: FakeWorld) => void (world.backend.onVerify = () => new Promise(() => undefined)),
      (world: FakeWorld) => void (world.backend.onVerify = silent as never),
      () => undefined,
    ]) {
      const world = fakeWorld({ backend: { url } });
      arrange(world);
      void world.supervisor.backend('code').start();
      await settled();
      await world.supervisor.stop();
      expect([world.supervisor.status().state, status(world)?.state, world.clock.pending]).toEqual([
        'stopped',
        'idle',
        [],
      ]);
    }
  });

  it('has no configuration of ours, and no ladder', async () => {
    const world = await connected();
    world.backend.onProbe = silent;
    await world.clock.advance(30_000);
    expect([status(world)?.recovery, world.backend.recovery.calls, world.events.recovery]).toEqual([undefined, [], []]);
  });

  it('has leases that know when they are over: with the connection, and with a new one', async () => {
    const world = await connected();
    const first = await world.supervisor.backend('code').acquire();
    await world.supervisor.backend('code').restart();
    const second = await world.supervisor.backend('code').acquire();
    expect([first.ended.aborted, second.ended.aborted, second.generation]).toEqual([true, false, 2]);
    world.backend.onProbe = silent;
    await world.clock.advance(30_000);
    expect(second.ended.aborted).toBe(true);
  });

  it('is asked anew by a restart, also while it is being asked', async () => {
    const world = fakeWorld({ backend: { url } });
    let asked = 0;
    world.backend.onVerify = () =>
      (asked += 1) === 1 ? new Promise(() => undefined) : Promise.resolve({ version: '1.0.0' });
    void world.supervisor.backend('code').start();
    await settled();
    const restarted = world.supervisor.backend('code').restart();
    await settled();
    expect([(await restarted).state, asked]).toEqual(['healthy', 2]);
  });
});
