import { describe, expect, it } from 'vitest';
import type { BackendHandle } from '../../index.ts';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const directory = '/project';
const backendOnly = (transitions: readonly string[]) => transitions.filter((line) => line.startsWith('code '));

describe('stopping and restarting', () => {
  it('is no crash: nothing is restarted, and the status says idle', async () => {
    const { backend, supervisor, clock, transitions } = fakeWorld();
    await supervisor.backend('code').start();
    expect(await supervisor.backend('code').stop()).toMatchObject({ state: 'idle' });
    await clock.advance(600_000);
    expect(backend.lives).toHaveLength(1);
    expect(backendOnly(transitions).slice(2)).toEqual(['code healthy → stopping', 'code stopping → idle']);
  });

  it('ends a start that is under way', async () => {
    const { backend, supervisor } = fakeWorld();
    backend.onLaunch = () => undefined;
    const opening = supervisor.openSession({ backend: 'code', directory });
    await settled();
    const refused = expect(opening).rejects.toMatchObject({ code: 'ERR_STOPPED' });
    await supervisor.backend('code').stop();
    await refused;
    expect(backend.life.isOver).toBe(true);
  });

  it('is never dropped: also one that follows a start in the same breath ends it', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    const starting = supervisor.backend('code').start();
    expect(await supervisor.backend('code').stop()).toMatchObject({ state: 'idle' });
    expect(await starting).toMatchObject({ state: 'idle' });
    await clock.advance(60_000);
    expect(backend.lives.every((life) => life.isOver)).toBe(true);
  });

  it('escalates when it is asked for again', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    backend.life.onStop = () => undefined;
    const stopping = supervisor.backend('code').stop();
    await settled();
    expect(backend.life.isOver).toBe(false);
    await supervisor.backend('code').stop();
    await stopping;
    expect(backend.life.calls.slice(0, 2)).toEqual(['stop', 'kill']);
  });

  it('resolves also where somebody starts the server again meanwhile', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    const [old] = backend.lives;
    if (old) old.onStop = () => undefined;
    const stopping = supervisor.backend('code').stop();
    const opening = supervisor.openSession({ backend: 'code', directory });
    await clock.advance(0);
    old?.end();
    await clock.advance(0);
    await Promise.all([stopping, opening]);
    expect(backend.lives).toHaveLength(2);
  });

  it('gives up a process that cannot be ended: its leases are over, and the next life is another one', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    const lease = await supervisor.backend('code').acquire();
    backend.life.onStop = () => undefined;
    const stopping = supervisor.backend('code').stop();
    await clock.advance(60_000);
    await stopping;
    expect([lease.ended.aborted, backend.life.calls]).toEqual([true, ['stop', 'release']]);
    expect(await supervisor.backend('code').acquire()).toMatchObject({ generation: 2 });
  });

  it('does not lose a start that is asked for while it stops', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    const old = backend.life;
    old.onStop = () => undefined;
    void supervisor.backend('code').stop();
    await settled();
    const opening = supervisor.openSession({ backend: 'code', directory });
    await settled();
    old.end();
    await clock.advance(0);
    await expect(opening).resolves.toBeDefined();
    expect(backend.lives).toHaveLength(2);
  });

  it('warns of processes that could not be ended, and goes on', async () => {
    const { backend, supervisor, events } = fakeWorld();
    await supervisor.backend('code').start();
    backend.life.survivors = [4711, 4712];
    expect(await supervisor.backend('code').stop()).toMatchObject({ state: 'idle' });
    expect(events.warning).toMatchObject([{ code: 'ERR_INTERNAL', backend: 'code' }]);
    expect(events.warning[0]?.message).toContain('4711, 4712');
  });

  it('restarts on request at once: what was asked for is no failure and waits for no backoff', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    expect(await supervisor.backend('code').restart()).toMatchObject({ state: 'healthy', restarts: 1 });
    expect(backend.lives).toHaveLength(2);
  });

  it('restarts on request, once for all who ask at the same time, and the old life is over first', async () => {
    const { backend, supervisor, events } = fakeWorld();
    await supervisor.backend('code').start();
    const [one, two] = await Promise.all([
      supervisor.backend('code').restart('new config'),
      supervisor.backend('code').restart('new config'),
    ]);
    expect([one.state, two.state]).toEqual(['healthy', 'healthy']);
    expect(backend.lives).toHaveLength(2);
    expect(backend.lives[0]?.isOver).toBe(true);
    expect(events.transition.find(({ to }) => to === 'recovering')?.reason).toBe('restart requested: new config');
  });

  it('replaces a process that boots when a restart is asked for: it may have read what was changed since', async () => {
    const { backend, supervisor, transitions } = fakeWorld();
    backend.onLaunch = (life) => {
      life.observer.prepared(1, null);
      life.observer.spawned(2);
    };
    const starting = supervisor.backend('code').start();
    await settled();
    const [booting] = backend.lives;
    backend.onLaunch = (life) => life.up();
    const [one, two] = await Promise.all([
      supervisor.backend('code').restart('new config'),
      supervisor.backend('code').restart('new config'),
    ]);
    expect([one.state, two.state, (await starting).state]).toEqual(['healthy', 'healthy', 'healthy']);
    expect([booting?.isOver, backend.lives.length]).toEqual([true, 2]);
    expect(transitions).not.toContain('code recovering → failed');
  });

  it('joins a restart that is asked for before the process is spawned', async () => {
    const { backend, supervisor } = fakeWorld();
    backend.onLaunch = () => undefined;
    const starting = supervisor.backend('code').start();
    await settled();
    const restarting = supervisor.backend('code').restart('new config');
    await settled();
    backend.life.up();
    expect([(await starting).state, (await restarting).state]).toEqual(['healthy', 'healthy']);
    expect(backend.lives).toHaveLength(1);
  });

  it('restarts on request while a life that failed is ended, and counts that as no failure', async () => {
    const { backend, supervisor, clock } = fakeWorld({
      backend: { readyTimeoutMs: 1_000, startAttempts: 1, restart: { maxRestarts: 0 } },
    });
    backend.onLaunch = (life) => {
      life.observer.prepared(1, null);
      life.observer.spawned(2);
      life.onStop = () => undefined;
    };
    const starting = supervisor.backend('code').start();
    await clock.advance(1_000);
    expect(supervisor.status().backends['code']?.detail).toBe('recovering.stopping');
    const restarting = supervisor.backend('code').restart();
    await settled();
    backend.onLaunch = (life) => life.up();
    backend.life.end();
    expect([(await starting).state, (await restarting).state]).toEqual(['healthy', 'healthy']);
  });

  it.each<[string, (code: BackendHandle) => Promise<unknown>]>([
    ['start()', (code) => code.start()],
    ['acquire()', (code) => code.acquire()],
  ])('does not lose a %s that is asked for in the same breath', async (_, call) => {
    const { backend, supervisor } = fakeWorld();
    const code = supervisor.backend('code');
    await code.start();
    void code.stop();
    await call(code);
    expect([code.status().state, backend.lives.length]).toEqual(['healthy', 2]);
  });

  it('gives a lease of the next life to whoever asks behind a restart', async () => {
    const { supervisor } = fakeWorld();
    const code = supervisor.backend('code');
    await code.start();
    const restarted = code.restart();
    expect(await code.acquire()).toMatchObject({ generation: 2 });
    await restarted;
  });

  it('does not wait for a turn that was given up before it had begun', async () => {
    const { supervisor } = fakeWorld();
    const session = await supervisor.openSession({ backend: 'code', directory });
    const turn = session.prompt('work');
    await supervisor.stop({ graceMs: 60_000 });
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_STOPPED' } });
  });

  it('stops what was started in reverse order, and each is gone before the next is stopped', async () => {
    const { FakeBackend } = await import('../fixtures/fake-backend.ts');
    const { createSupervisor } = await import('../../index.ts');
    const order: string[] = [];
    const backends = Object.fromEntries(['a', 'b', 'c'].map((id) => [id, new FakeBackend()]));
    for (const [id, fake] of Object.entries(backends)) {
      fake.onLaunch = (life) => {
        life.up();
        life.onStop = () => {
          order.push(`${id} stops`);
          queueMicrotask(() => {
            order.push(`${id} is gone`);
            life.end();
          });
        };
      };
    }
    const supervisor = createSupervisor({
      backends: Object.fromEntries(Object.entries(backends).map(([id, fake]) => [id, fake.definition])),
    });
    for (const id of ['b', 'c', 'a']) await supervisor.backend(id).start();
    await supervisor.stop();
    expect(order).toEqual(['a stops', 'a is gone', 'c stops', 'c is gone', 'b stops', 'b is gone']);
    expect(supervisor.status().state).toBe('stopped');
  });

  it('resolves every stop, however often it is asked for, also before anything was started', async () => {
    const { supervisor } = fakeWorld();
    await Promise.all([supervisor.stop(), supervisor.stop(), supervisor.stop()]);
    await supervisor.stop();
    expect(supervisor.status().state).toBe('stopped');
  });

  it('is not undone by a start: what comes while it drains starts nothing, and it ends', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    const session = await supervisor.openSession({ backend: 'code', directory, chatId: 'c' });
    const turn = session.prompt('work');
    await clock.advance(0);
    backend.turn.fact({ kind: 'working' });
    const moving = expect(
      supervisor.openSession({ backend: 'code', directory: '/other', chatId: 'c' }),
    ).rejects.toMatchObject({ code: 'ERR_STOPPED' });
    const stopping = supervisor.stop({ graceMs: 0 });
    const starting = supervisor.backend('code').start();
    await clock.advance(0);
    backend.turn.fact({ kind: 'quiet' });
    await clock.advance(1_000);
    await Promise.all([stopping, moving, starting, turn.result]);
    expect(supervisor.status()).toMatchObject({ state: 'stopped', backends: { code: { state: 'idle' } } });
    expect(backend.lives).toHaveLength(1);
  });

  it('in the same breath as a start waits until what was started is gone', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    const opening = expect(supervisor.openSession({ backend: 'code', directory })).rejects.toMatchObject({
      code: 'ERR_STOPPED',
    });
    const starting = supervisor.backend('code').start();
    const stopping = supervisor.stop();
    await clock.advance(0);
    await Promise.all([stopping, opening, starting]);
    expect(backend.lives.every((life) => life.isOver)).toBe(true);
    expect(supervisor.status()).toMatchObject({ state: 'stopped', backends: { code: { state: 'idle' } } });
    expect(clock.pending).toEqual([]);
  });

  it('leaves no timer behind, whatever was going on', async () => {
    const { backend, supervisor, clock } = fakeWorld({ supervisor: { onPermission: () => undefined } });
    const sessions = await Promise.all([1, 2, 3].map(() => supervisor.openSession({ backend: 'code', directory })));
    const turns = sessions.map((session) => session.prompt('work'));
    await clock.advance(0);
    backend.turn.fact({ kind: 'working' });
    const permission = { type: 'permission', id: 'p', title: '', permission: '', patterns: [], options: [] } as const;
    backend.turn.sink.ask(permission);
    void turns[0]?.cancel();
    await clock.advance(0);
    const stopping = supervisor.stop({ graceMs: 1_000 });
    await clock.advance(60_000);
    await stopping;
    expect(clock.pending).toEqual([]);
    expect(await Promise.all(turns.map(async (turn) => (await turn.result).outcome))).toEqual([
      'cancelled',
      'cancelled',
      'cancelled',
    ]);
  });

  it('refuses new work once it stops', async () => {
    const { supervisor } = fakeWorld();
    const session = await supervisor.openSession({ backend: 'code', directory });
    await supervisor.stop();
    await expect(supervisor.openSession({ backend: 'code', directory })).rejects.toMatchObject({ code: 'ERR_STOPPED' });
    await expect(supervisor.backend('code').acquire()).rejects.toMatchObject({ code: 'ERR_STOPPED' });
    expect(await session.prompt('too late').result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_STOPPED' },
    });
  });
});
