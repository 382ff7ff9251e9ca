import { describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';

const status = ({ supervisor }: FakeWorld) => supervisor.status().backends['code'];

async function busyWorld() {
  const world = fakeWorld();
  const session = await world.supervisor.openSession({ backend: 'code', directory: '/project', chatId: 'one' });
  const turn = session.prompt('work');
  await world.clock.advance(0);
  return { ...world, session, turn };
}

describe('reload()', () => {
  it('of a server that is down starts nothing: what starts next reads it', async () => {
    const world = fakeWorld();
    expect((await world.supervisor.backend('code').reload({ model: 'a/b' })).state).toBe('idle');
    expect([world.backend.calls, world.backend.lives]).toEqual([['configure {"model":"a/b"}'], []]);
  });

  it('of a server without turns restarts it at once', async () => {
    const world = fakeWorld();
    await world.supervisor.backend('code').start();
    expect((await world.supervisor.backend('code').reload()).state).toBe('healthy');
    expect([world.backend.lives.length, status(world)?.restarts]).toEqual([2, 1]);
  });

  it('lets the turn that runs finish; the next one, also of another chat, waits for the new server', async () => {
    const { session, turn, ...world } = await busyWorld();
    const reloaded = world.supervisor.backend('code').reload();
    const next = session.prompt('next');
    const other = await world.supervisor.openSession({ backend: 'code', directory: '/project', chatId: 'two' });
    const third = other.prompt('third');
    await world.clock.advance(60_000);
    expect([status(world)?.detail, world.backend.turns.length]).toEqual(['healthy.draining', 1]);
    world.backend.onTurn = (started) =>
      (started.onSend = () => queueMicrotask(() => started.complete('on the new one')));
    world.backend.turn.complete();
    await world.clock.advance(0);
    expect((await reloaded).state).toBe('healthy');
    for (const each of [turn, next, third]) expect((await each.result).outcome).toBe('completed');
    expect([world.backend.lives.length, status(world)?.instances[0]?.generation]).toEqual([2, 2]);
  });

  it('is not lost where the server fails a check meanwhile', async () => {
    const { turn, ...world } = await busyWorld();
    const reloaded = world.supervisor.backend('code').reload();
    world.backend.onProbe = () => Promise.reject(new Error('slow'));
    await world.clock.advance(10_000);
    expect(status(world)?.state).toBe('unhealthy');
    world.backend.onProbe = () => Promise.resolve();
    await world.clock.advance(10_000);
    expect(status(world)?.detail).toBe('healthy.draining');
    let isOver = false;
    void reloaded.then(() => (isOver = true));
    await world.clock.advance(0);
    expect(isOver).toBe(false);
    world.backend.turn.complete();
    await turn.result;
    await world.clock.advance(0);
    expect([status(world)?.state, world.backend.lives.length]).toEqual(['healthy', 2]);
  });

  it('is done with a crash or a restart that comes first, and with a stop', async () => {
    for (const end of ['crash', 'restart', 'stop'] as const) {
      const world = await busyWorld();
      const reloaded = world.supervisor.backend('code').reload();
      await world.clock.advance(0);
      if (end === 'crash') world.backend.life.end();
      else await world.supervisor.backend('code')[end]();
      await world.clock.advance(60_000);
      expect([(await reloaded).state, world.backend.lives.length]).toEqual(
        end === 'stop' ? ['idle', 1] : ['healthy', 2],
      );
    }
  });

  it('that is refused rejects, and changes nothing', async () => {
    const world = fakeWorld();
    await world.supervisor.backend('code').start();
    world.backend.onReload = () => Promise.reject(new Error('no such file'));
    await expect(world.supervisor.backend('code').reload()).rejects.toThrow('no such file');
    world.backend.onConfigure = () => {
      throw new Error('no configuration');
    };
    await expect(world.supervisor.backend('code').reload('x')).rejects.toThrow('no configuration');
    expect([status(world)?.state, world.backend.lives.length]).toEqual(['healthy', 1]);
  });

  it('of one configuration is not lost where another reload, or a stop, comes behind it', async () => {
    const world = fakeWorld();
    world.backend.onReload = () => Promise.resolve({ kind: 'applied', configId: null });
    const handle = world.supervisor.backend('code');
    await handle.start();
    const [restarted, configured, reread] = [handle.restart(), handle.reload({ a: 1 }), handle.reload()];
    await Promise.all([restarted, configured, reread]);
    expect(world.backend.calls.filter((call) => call !== 'probe')).toEqual(['configure {"a":1}', 'reload']);
    expect(world.backend.lives).toHaveLength(3); // The one that booted may have read what was there before.
    const [second, last] = [handle.reload({ b: 2 }), handle.stop()];
    expect([(await second).state, (await last).state]).toEqual(['idle', 'idle']);
    expect(world.backend.calls.at(-1)).toBe('configure {"b":2}');
  });

  it('that the server takes over at once does not replace one that waits for the turns', async () => {
    const { turn, session, ...world } = await busyWorld();
    const first = world.supervisor.backend('code').reload({ a: 1 });
    await world.clock.advance(0);
    world.backend.onReload = () => Promise.resolve({ kind: 'applied', configId: 'another' });
    const second = world.supervisor.backend('code').reload();
    await world.clock.advance(0);
    expect(status(world)?.detail).toBe('healthy.draining');
    const next = session.prompt('next');
    world.backend.onTurn = (started) => (started.onSend = () => queueMicrotask(() => started.complete()));
    world.backend.turn.complete();
    await world.clock.advance(0);
    for (const each of [turn, next]) expect((await each.result).outcome).toBe('completed');
    expect([(await first).state, (await second).state, world.backend.lives.length]).toEqual(['healthy', 'healthy', 2]);
  });

  it('during which the server ends is done by its next life', async () => {
    const world = fakeWorld();
    await world.supervisor.backend('code').start();
    world.backend.onReload = () => new Promise(() => undefined);
    const reloaded = world.supervisor.backend('code').reload();
    await world.clock.advance(0);
    world.backend.life.end();
    await world.clock.advance(1_000);
    expect([(await reloaded).state, status(world)?.instances[0]?.generation]).toEqual(['healthy', 2]);
  });

  it('in the first moments of a start is not lost: the configuration may have been read already', async () => {
    const world = fakeWorld();
    world.backend.onLaunch = (life) => {
      if (life.generation > 1) life.up();
    };
    const opening = world.supervisor.openSession({ backend: 'code', directory: '/project' });
    await world.clock.advance(0);
    expect(status(world)?.detail).toBe('starting.preparing');
    const reloaded = world.supervisor.backend('code').reload({ a: 1 });
    await world.clock.advance(0);
    expect([(await reloaded).state, world.backend.lives.length]).toEqual(['healthy', 2]);
    await opening;
  });

  it('that the server took over while it runs starts the proof of that configuration anew', async () => {
    const world = fakeWorld({ backend: { recovery: { provenAfterMs: 60_000 } } });
    await world.supervisor.backend('code').start();
    await world.clock.advance(50_000);
    world.backend.onReload = () => Promise.resolve({ kind: 'applied', configId: 'another' });
    await world.supervisor.backend('code').reload();
    await world.clock.advance(59_000);
    expect(world.backend.recovery.calls).toEqual([]);
    await world.clock.advance(1_000);
    expect([world.backend.recovery.calls, world.backend.lives.length]).toEqual([['proven'], 1]);
  });

  it('of a configuration that does not work rejects, though the server works again: with the one before', async () => {
    const world = fakeWorld();
    world.backend.onLaunch = (life) => {
      if (life.configId !== '{"bad":1}') return life.up();
      life.observer.prepared(1, life.configId);
      life.end({ code: 'ERR_CONFIG_INVALID', reason: 'own-config', message: 'broken' });
    };
    world.backend.recovery.onStep = () => {
      world.backend.configId = 'good';
      return Promise.resolve({ message: 'done', configId: 'good' });
    };
    await world.supervisor.backend('code').start();
    await expect(world.supervisor.backend('code').reload({ bad: 1 })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    expect(status(world)?.state).toBe('healthy');
    expect((await world.supervisor.backend('code').reload({ good: 1 })).state).toBe('healthy');
  });

  it('says why every state was entered', async () => {
    const { turn, ...world } = await busyWorld();
    const reloaded = world.supervisor.backend('code').reload();
    await world.clock.advance(0);
    world.backend.turn.complete();
    await Promise.all([turn.result, reloaded]);
    await world.supervisor.backend('code').reload();
    const reasons = world.events.transition.filter(({ to }) => to === 'recovering').map(({ reason }) => reason);
    expect(reasons).toEqual(['reload requested, and no turn runs any more', 'reload requested']);
  });
});
