import { describe, expect, it } from 'vitest';
import type { Failure } from '../../actors/ports.ts';
import type { FakeLife } from '../fixtures/fake-backend.ts';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';

const crash: Failure = { code: 'ERR_BACKEND_EXITED', message: 'it crashed' };
const refused: Failure = { code: 'ERR_CONFIG_INVALID', reason: 'own-config', message: 'broken' };
const foreign: Failure = { code: 'ERR_CONFIG_INVALID', reason: 'foreign-config', message: 'broken elsewhere' };
const exited: Failure = { code: 'ERR_EXITED_BEFORE_READY', reason: 'exit-code', message: 'it ended (code 1)' };
const portTaken: Failure = { ...exited, reason: 'port-taken' };
const notFound: Failure = { code: 'ERR_SPAWN_FAILED', reason: 'ENOENT', message: 'no such program' };

/** A server that holds a configuration, and whose lives end before they are ready until `works` says otherwise. */
function brokenWorld(
  failure: Failure,
  works: (life: FakeLife) => boolean,
  options: Parameters<typeof fakeWorld>[0] = {},
) {
  const world = fakeWorld(options);
  world.backend.configId = 'the broken one';
  world.backend.onLaunch = (life) => {
    if (works(life)) return life.up();
    life.observer.prepared(1, life.configId);
    life.end(failure);
  };
  world.backend.recovery.onStep = (step) => Promise.resolve({ message: `${step} is done` });
  return world;
}

const never = () => false;
const steps = ({ events }: FakeWorld) => events.recovery.map(({ step, outcome }) => `${step} ${outcome}`);
const status = ({ supervisor }: FakeWorld) => supervisor.status().backends['code'];

async function start(world: FakeWorld, ms = 200_000) {
  const starting = world.supervisor.backend('code').start();
  await world.clock.advance(ms);
  return starting;
}

describe('the recovery ladder', () => {
  it('answers a server that does not come up by a restart, and writes down what is known before the next one', async () => {
    const world = brokenWorld(crash, ({ generation }) => generation === 3);
    await start(world);
    expect([steps(world), world.backend.recovery.calls]).toEqual([
      ['restart failed', 'capture-diagnostics healthy'],
      ['captureDiagnostics', 'proven'],
    ]);
    expect(world.events.recovery.at(-1)).toMatchObject({ backend: 'code', message: 'captureDiagnostics is done' });
    expect(world.backend.recovery.reports[0]).toMatchObject({
      failure: crash,
      attempted: ['restart', 'capture-diagnostics'],
    });
    expect(world.backend.recovery.reports[0]?.history.map(({ to, reason }) => `${to}: ${reason}`)).toEqual([
      'starting: start requested',
      'recovering: ERR_BACKEND_EXITED: it crashed',
      'recovering: restart failed: ERR_BACKEND_EXITED: it crashed',
    ]);
  });

  it.each<[string, Failure]>([
    ['a crash', crash],
    ['a port that is taken', portTaken],
    ['a start that takes too long', { code: 'ERR_READY_TIMEOUT', message: 'too slow' }],
    ['a start that was killed', { ...exited, reason: 'signal' }],
  ])('never touches the configuration for %s, and gives up where the restarts are used up', async (_, failure) => {
    const world = brokenWorld(failure, never);
    expect((await start(world)).lastError?.code).toBe('ERR_RESTART_LIMIT');
    expect(world.backend.recovery.calls).toEqual(['captureDiagnostics']);
    expect([world.backend.lives.length, status(world)?.recovery]).toEqual([
      6,
      { attempted: ['restart', 'capture-diagnostics'] },
    ]);
  });

  it.each<[string, Failure]>([
    ['a program that is not there', notFound],
    ['a configuration that is not ours', foreign],
    ['a version that is not the right one', { code: 'ERR_VERSION_MISMATCH', message: 'old' }],
    ['a fixed port that is taken', { ...exited, reason: 'fixed-port-taken' }],
  ])('is not climbed for %s', async (_, failure) => {
    const world = brokenWorld(failure, never);
    expect((await start(world)).lastError).toMatchObject({ code: failure.code });
    expect([world.backend.lives.length, world.backend.recovery.calls, steps(world)]).toEqual([1, [], []]);
  });

  it('begins at the rollback for a configuration that was refused, without waiting and without a restart of the same', async () => {
    const world = brokenWorld(refused, ({ generation }) => generation === 2);
    await start(world, 0);
    expect([steps(world), world.backend.lives.length]).toEqual([['rollback-config healthy'], 2]);
  });

  it('goes on to the seed, and takes back what did not help, before it gives up', async () => {
    const world = brokenWorld(refused, never);
    expect((await start(world)).lastError).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    expect([steps(world), world.backend.recovery.calls]).toEqual([
      ['rollback-config failed', 'seed-config failed'],
      ['captureDiagnostics', 'rollbackConfig', 'seedConfig', 'restoreConfig'],
    ]);
  });

  it('takes nothing back where no rung changed anything', async () => {
    const world = brokenWorld(refused, never);
    world.backend.recovery.onStep = () => Promise.reject(new Error('nothing to go back to'));
    await start(world);
    expect([world.backend.recovery.calls, world.backend.lives.length]).toEqual([
      ['captureDiagnostics', 'rollbackConfig', 'seedConfig'],
      1,
    ]);
    expect(world.events.recovery[0]).toMatchObject({ message: 'nothing to go back to' });
  });

  it('suspects the configuration of a program that ends by itself before it is ready, after the gentler rungs', async () => {
    const world = brokenWorld(exited, ({ generation }) => generation === 4);
    await start(world);
    expect(steps(world)).toEqual(['restart failed', 'capture-diagnostics failed', 'rollback-config healthy']);
  });

  it('leaves the configuration alone where there is none of ours', async () => {
    const world = brokenWorld(exited, never);
    world.backend.configId = null;
    await start(world);
    expect(world.backend.recovery.calls).toEqual(['captureDiagnostics']);
  });

  it('has only the rungs that were chosen', async () => {
    const recovery = { steps: ['restart' as const, 'seed-config' as const] };
    const world = brokenWorld(refused, never, { backend: { recovery } });
    await start(world);
    expect(world.backend.recovery.calls).toEqual(['seedConfig', 'restoreConfig']);
    const without = brokenWorld(crash, never, { backend: { recovery: { steps: [] } } });
    await start(without);
    expect([without.backend.lives.length, without.supervisor.status().backends['code']?.lastError?.code]).toEqual([
      1,
      'ERR_BACKEND_EXITED',
    ]);
  });

  it('shows where it stands: what is being tried, what was, and what is next', async () => {
    const world = brokenWorld(refused, never);
    let finish!: () => void;
    world.backend.recovery.onStep = (step) =>
      step === 'captureDiagnostics'
        ? Promise.resolve({ message: 'written' })
        : new Promise((resolve) => (finish = () => resolve({ message: 'done' })));
    void world.supervisor.backend('code').start();
    await world.clock.advance(0);
    expect(status(world)).toMatchObject({
      state: 'recovering',
      detail: 'recovering.rollingBackConfig',
      recovery: { active: 'rollback-config', attempted: ['rollback-config'], next: 'seed-config' },
    });
    finish();
    await world.clock.advance(0);
    expect(status(world)?.recovery).toEqual({ active: 'seed-config', attempted: ['rollback-config', 'seed-config'] });
  });

  it('passes over a rung that does not come to an end', async () => {
    const world = brokenWorld(refused, never);
    world.backend.recovery.onStep = () => new Promise(() => undefined);
    const starting = world.supervisor.backend('code').start();
    await world.clock.advance(10_000);
    expect(status(world)?.detail).toBe('recovering.seedingConfig');
    await world.clock.advance(300_000);
    expect(world.events.recovery[0]).toMatchObject({
      outcome: 'failed',
      message: 'It did not come to an end in time.',
    });
    expect((await starting).state).toBe('recovering'); // As it was when the caller had waited long enough.
    expect(status(world)?.state).toBe('failed');
  });

  it.each(['captureDiagnostics', 'rollbackConfig', 'seedConfig', 'restoreConfig'] as const)(
    'gives way to a stop while %s is at work: the rung is told, and starts nothing any more',
    async (rung) => {
      const world = brokenWorld(rung === 'captureDiagnostics' ? crash : refused, never);
      const signals: AbortSignal[] = [];
      let finish!: () => void;
      world.backend.recovery.onStep = (step, signal) => {
        if (step !== rung) return Promise.resolve({ message: 'done' });
        signals.push(signal);
        return new Promise((resolve) => (finish = () => resolve({ message: 'too late' })));
      };
      void world.supervisor.backend('code').start();
      await world.clock.advance(2_000);
      expect(signals).toHaveLength(1);
      const lives = world.backend.lives.length;
      expect((await world.supervisor.backend('code').stop()).state).toBe('idle');
      finish();
      await world.clock.advance(60_000);
      expect([status(world)?.state, world.backend.lives.length]).toEqual(['idle', lives]);
    },
  );

  it('gives way to a restart that somebody asks for while a person is asked', async () => {
    const world = brokenWorld(refused, ({ configId }) => configId === 'mended');
    world.backend.recovery.onStep = (step) =>
      step === 'seedConfig' ? new Promise(() => undefined) : Promise.reject(new Error('no'));
    void world.supervisor.backend('code').start();
    await world.clock.advance(0);
    world.backend.configId = 'mended';
    const restarted = world.supervisor.backend('code').restart();
    await world.clock.advance(0);
    expect((await restarted).state).toBe('healthy');
  });

  it('rests when it has failed: another start is one attempt, until there is another configuration', async () => {
    const world = brokenWorld(refused, never);
    await start(world);
    const before = world.backend.recovery.calls.length;
    await start(world);
    await world.supervisor.backend('code').restart();
    expect([world.backend.recovery.calls.length, world.backend.lives.length]).toEqual([before, 5]);
    world.backend.configId = 'another broken one';
    await start(world);
    expect(world.backend.recovery.calls.slice(before)).toEqual([
      'captureDiagnostics',
      'rollbackConfig',
      'seedConfig',
      'restoreConfig',
    ]);
  });

  it('begins anew after the server has worked for a while, and not before: a loop of crashes is written down once', async () => {
    const world = brokenWorld(crash, () => true);
    await start(world, 0);
    for (let round = 0; round < 3; round += 1) {
      world.backend.life.end(crash);
      await world.clock.advance(20_000);
    }
    expect(steps(world)).toEqual(['restart healthy', 'capture-diagnostics healthy', 'restart healthy']);
    await world.clock.advance(60_000);
    world.backend.life.end(crash);
    await world.clock.advance(1_000);
    expect(steps(world).slice(3)).toEqual(['restart healthy']);
  });

  it('knows the configuration that a rung made: that one is not news', async () => {
    const world = brokenWorld(refused, never);
    world.backend.recovery.onStep = (step) => {
      if (step === 'captureDiagnostics') return Promise.resolve({ message: 'written' });
      world.backend.configId = step;
      return Promise.resolve({ message: 'done', configId: step });
    };
    await start(world);
    expect([status(world)?.state, world.backend.recovery.calls]).toEqual([
      'failed',
      ['captureDiagnostics', 'rollbackConfig', 'seedConfig', 'restoreConfig'],
    ]);
  });
});
