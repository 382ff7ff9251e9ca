import { describe, expect, it } from 'vitest';
import type { Failure } from '../../actors/ports.ts';
import type { FakeLife } from '../fixtures/fake-backend.ts';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';

const crash: Failure = { code: 'ERR_BACKEND_EXITED', message: 'it crashed' };
const refused: Failure = { code: 'ERR_CONFIG_INVALID', reason: 'own-config', message: 'broken' };
const notFound: Failure = { code: 'ERR_SPAWN_FAILED', reason: 'ENOENT', message: 'no such program' };

const handle = ({ supervisor }: FakeWorld) => supervisor.backend('code');
const status = ({ supervisor }: FakeWorld) => supervisor.status().backends['code'];

/** Each life ends as it is told, or works. */
function worldOf(ends: (life: FakeLife) => Failure | undefined, options: Parameters<typeof fakeWorld>[0] = {}) {
  const world = fakeWorld(options);
  world.backend.configId = 'mine';
  world.backend.onLaunch = (life) => {
    const failure = ends(life);
    if (!failure) return life.up();
    life.observer.prepared(1, life.configId);
    life.end(failure);
  };
  world.backend.recovery.onStep = (step) => Promise.resolve({ message: `${step} is done` });
  return world;
}

async function start(world: FakeWorld, ms = 200_000): Promise<void> {
  void handle(world).start();
  await world.clock.advance(ms);
}

const calls = ({ backend }: FakeWorld, name: string) => backend.recovery.calls.filter((call) => call === name).length;

describe('the limits of a recovery', () => {
  it('hold also where every start finds another broken configuration', async () => {
    let launches = 0;
    const world = worldOf(() => refused);
    world.backend.recovery.onStep = (step) => {
      world.backend.configId = `${step} ${(launches += 1)}`;
      return Promise.resolve({ message: 'done' });
    };
    await start(world, 600_000);
    expect([status(world)?.state, status(world)?.lastError?.code]).toEqual(['failed', 'ERR_CONFIG_INVALID']);
    expect(world.backend.lives.length).toBe(8); // The first, five restarts, and one for each of the two rungs.
  });

  it('leave the rungs their launches where no restart is allowed', async () => {
    const world = worldOf(({ generation }) => (generation < 3 ? refused : undefined), {
      backend: { restart: { maxRestarts: 0 } },
    });
    await start(world, 0);
    expect([status(world)?.state, world.events.recovery.map(({ step }) => step)]).toEqual([
      'healthy',
      ['rollback-config', 'seed-config'],
    ]);
  });

  it('do not take back a rollback that has helped, whatever ends the server later', async () => {
    const world = worldOf(({ generation }) => (generation === 1 ? refused : generation === 2 ? undefined : notFound));
    world.backend.recovery.onStep = () => {
      world.backend.configId = 'good';
      return Promise.resolve({ message: 'done', configId: 'good' });
    };
    await start(world, 0);
    world.backend.life.end(crash);
    await world.clock.advance(60_000);
    expect([status(world)?.lastError?.code, world.backend.recovery.calls]).toEqual([
      'ERR_SPAWN_FAILED',
      ['captureDiagnostics', 'rollbackConfig'],
    ]);
  });

  it.each<[string, () => Promise<never>]>([
    ['is not possible', () => Promise.reject(new Error('no'))],
    ['does not come to an end', () => new Promise(() => undefined)],
  ])('end in failed also where putting the configuration back %s', async (_, restore) => {
    const world = worldOf(() => refused);
    world.backend.recovery.onStep = (step) =>
      step === 'restoreConfig' ? restore() : Promise.resolve({ message: 'done' });
    await start(world, 20_000);
    expect([status(world)?.state, calls(world, 'restoreConfig')]).toEqual(['failed', 1]);
  });

  it('restart the server also where the diagnostics cannot be written', async () => {
    const world = worldOf(({ generation }) => (generation < 3 ? crash : undefined));
    world.backend.recovery.onStep = () => new Promise(() => undefined);
    await start(world, 15_000);
    expect([status(world)?.state, world.backend.lives.length]).toEqual(['healthy', 3]);
  });

  it('end at a failure that no restart can mend, wherever the ladder stands', async () => {
    const world = worldOf(({ generation }) => (generation === 1 ? crash : notFound));
    await start(world);
    expect([status(world)?.lastError?.code, world.backend.lives.length, world.backend.recovery.calls]).toEqual([
      'ERR_SPAWN_FAILED',
      2,
      [],
    ]);
  });
});

describe('the ladder begins anew', () => {
  /** Two crashes within a short time: a restart, and then the diagnostics. */
  async function crashTwice(world: FakeWorld): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      world.backend.life.end(crash);
      await world.clock.advance(5_000);
    }
  }

  it.each<[string, (world: FakeWorld) => Promise<unknown>]>([
    ['after the server has worked for a while', ({ clock }) => clock.advance(60_000)],
    ['with a restart that somebody asks for', (world) => handle(world).restart()],
    [
      'with a stop and a start',
      async (world) => {
        await handle(world).stop();
        await handle(world).start();
      },
    ],
  ])('%s', async (_, renew) => {
    const world = worldOf(() => undefined, { backend: { restart: { maxRestarts: 20 } } });
    await start(world, 0);
    await crashTwice(world);
    expect(calls(world, 'captureDiagnostics')).toBe(1);
    await renew(world);
    await crashTwice(world);
    expect(calls(world, 'captureDiagnostics')).toBe(2);
  });

  it.each(['restart', 'reload'] as const)('with a %s() while a person is asked', async (ask) => {
    const world = worldOf(() => refused);
    world.backend.recovery.onStep = (step) =>
      step === 'seedConfig' ? new Promise(() => undefined) : Promise.reject(new Error('no'));
    await start(world, 0);
    expect(calls(world, 'rollbackConfig')).toBe(1);
    void handle(world)[ask]();
    await world.clock.advance(0);
    expect([status(world)?.detail, calls(world, 'rollbackConfig')]).toEqual(['recovering.seedingConfig', 2]);
  });

  it('not with a configuration that the running server took over, which the next life has, too', async () => {
    const world = worldOf(() => undefined, { backend: { restart: { maxRestarts: 20 } } });
    world.backend.onReload = () => Promise.resolve({ kind: 'applied', configId: 'another' });
    await start(world, 0);
    world.backend.life.end(crash);
    await world.clock.advance(5_000);
    await handle(world).reload();
    world.backend.configId = 'another';
    for (let round = 0; round < 2; round += 1) {
      world.backend.life.end(crash);
      await world.clock.advance(5_000);
    }
    expect(world.events.recovery.map(({ step }) => step)).toEqual(['restart', 'restart', 'capture-diagnostics']);
  });
});

describe('what is asked for in the middle of a recovery', () => {
  it('is not kept waiting by the backoff', async () => {
    const backoff = { baseMs: 30_000, jitter: 'none' as const };
    const world = worldOf(({ generation }) => (generation < 3 ? crash : undefined), {
      backend: { restart: { backoff } },
    });
    await start(world, 1_000);
    expect(status(world)?.detail).toBe('recovering.backingOff');
    const restarted = handle(world).restart();
    await world.clock.advance(0);
    expect((await restarted).state).toBe('healthy');
  });

  it.each(['restart', 'reload'] as const)(
    'is no failure: a %s() while a life that failed is being ended',
    async (ask) => {
      const world = worldOf(() => undefined);
      await start(world, 0);
      const [old] = world.backend.lives;
      if (old) old.onStop = () => undefined;
      world.backend.onProbe = () => Promise.reject(new Error('no answer'));
      await world.clock.advance(30_000);
      expect(status(world)?.detail).toBe('recovering.stopping');
      world.backend.onProbe = () => Promise.resolve();
      const asked = handle(world)[ask]();
      old?.end();
      await world.clock.advance(0);
      expect([(await asked).state, status(world)?.lastError, world.events.recovery]).toEqual([
        'healthy',
        undefined,
        [],
      ]);
    },
  );

  it('is one attempt for a server that has failed: reload(), acquire()', async () => {
    const world = worldOf(({ generation }) => (generation < 3 ? notFound : undefined));
    await start(world, 0);
    expect((await handle(world).reload()).state).toBe('failed');
    expect(await handle(world).acquire()).toMatchObject({ generation: 3 });
    const other = worldOf(({ generation }) => ({ ...notFound, message: `try ${generation}` }));
    await start(other, 0);
    for (const attempt of [2, 3]) await expect(handle(other).acquire()).rejects.toThrow(`try ${attempt}`);
    expect(other.backend.lives).toHaveLength(3);
  });
});

describe('what a supervisor that is stopped is asked for', () => {
  it('is answered with the status, and nothing is left waiting', async () => {
    const world = worldOf(() => undefined);
    await start(world, 0);
    await world.supervisor.stop();
    for (const ask of ['restart', 'reload', 'start', 'checkNow', 'stop'] as const)
      expect((await handle(world)[ask]()).state).toBe('idle');
    expect(world.clock.pending).toEqual([]);
  });
});

describe('what is known of a failure', () => {
  it('is written down once before the configuration is touched, and the events name the file, whatever the rung can do', async () => {
    const world = worldOf(() => refused);
    world.backend.recovery.onStep = (step) =>
      step === 'captureDiagnostics'
        ? Promise.resolve({ message: 'written', path: '/d.json' })
        : Promise.reject(new Error('no'));
    await start(world, 0);
    expect(world.backend.recovery.calls).toEqual(['captureDiagnostics', 'rollbackConfig', 'seedConfig']);
    expect(world.events.recovery.map(({ step, diagnostics }) => [step, diagnostics])).toEqual([
      ['rollback-config', '/d.json'],
      ['seed-config', undefined],
    ]);
  });

  it('is not written where that rung was not chosen', async () => {
    const world = worldOf(() => refused, { backend: { recovery: { steps: ['rollback-config'] } } });
    await start(world, 0);
    expect(world.backend.recovery.calls).toEqual(['rollbackConfig', 'restoreConfig']);
  });

  it('that cannot be written is a warning, and the rung is taken all the same', async () => {
    const world = worldOf(({ generation }) => (generation === 1 ? refused : undefined));
    world.backend.recovery.onStep = (step) =>
      step === 'captureDiagnostics'
        ? Promise.reject(new Error('the disk is full'))
        : Promise.resolve({ message: 'done' });
    await start(world, 0);
    expect([status(world)?.state, world.events.warning.map(({ code }) => code)]).toEqual(['healthy', ['ERR_STORE']]);
    expect(world.events.warning[0]?.message).toContain('the disk is full');
  });
});

describe('the models of a server', () => {
  it('need not be known: that is a warning, once for each life', async () => {
    const world = worldOf(() => undefined);
    world.backend.onLoadLimits = () => Promise.reject(new Error('no list'));
    await start(world, 60_000);
    expect([status(world)?.state, world.events.warning.map(({ code }) => code)]).toEqual(['healthy', ['ERR_PROTOCOL']]);
  });
});
