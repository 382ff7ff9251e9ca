import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const directory = '/work';
const backendOnly = (transitions: readonly string[]) => transitions.filter((line) => line.startsWith('code '));

describe('starting a server', () => {
  it('starts nothing before it is used', async () => {
    const { backend, supervisor } = fakeWorld();
    await settled();
    expect(backend.lives).toHaveLength(0);
    expect(supervisor.status().backends['code']).toMatchObject({
      state: 'idle',
      busy: false,
      restarts: 0,
      sessions: 0,
    });
  });

  it('starts one server for fifty sessions that are opened at once', async () => {
    const { backend, supervisor } = fakeWorld();
    const sessions = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        supervisor.openSession({ backend: 'code', directory, chatId: `chat-${index}` }),
      ),
    );
    expect(new Set(sessions.map((session) => session.id)).size).toBe(50);
    expect(backend.lives).toHaveLength(1);
  });

  it('joins callers that come while the start is under way, and starts once', async () => {
    const { backend, supervisor } = fakeWorld();
    backend.onLaunch = () => undefined;
    const opened: Promise<unknown>[] = [
      supervisor.backend('code').start(),
      supervisor.openSession({ backend: 'code', directory }),
    ];
    await settled();
    opened.push(supervisor.backend('code').acquire());
    await settled();
    backend.life.up();
    await Promise.all(opened);
    expect(backend.lives).toHaveLength(1);
  });

  it('is ready only when the address was told and the server is proved', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    backend.onLaunch = () => undefined;
    let prove!: (value: { version: string }) => void;
    backend.onVerify = () => new Promise((resolve) => (prove = resolve));
    const starting = supervisor.backend('code').start();
    await clock.advance(0);
    expect(supervisor.status().backends['code']?.detail).toBe('starting.preparing');
    backend.life.observer.prepared(4001);
    expect(supervisor.status().backends['code']).toMatchObject({ detail: 'starting.launching', port: 4001 });
    backend.life.observer.spawned(77);
    expect(supervisor.status().backends['code']).toMatchObject({ detail: 'starting.awaitingReady', pid: 77 });
    backend.life.observer.listening(4001);
    expect(supervisor.status().backends['code']?.detail).toBe('starting.verifyingVersion');
    prove({ version: '1.2.3' });
    expect(await starting).toMatchObject({ state: 'healthy', version: '1.2.3', pid: 77, port: 4001 });
  });

  it('ends the process of a start that takes too long before it tells anybody, and says what the process said', async () => {
    const { backend, supervisor, clock, transitions } = fakeWorld({
      backend: { readyTimeoutMs: 1_000, startAttempts: 1, restart: { maxRestarts: 0 } },
    });
    backend.onLaunch = (life) => {
      life.observer.prepared(1);
      life.observer.spawned(2);
      life.onStop = () => life.end(undefined, 'still loading');
    };
    const opening = supervisor.openSession({ backend: 'code', directory });
    const refused = expect(opening).rejects.toMatchObject({
      code: 'ERR_RESTART_LIMIT',
      message: expect.stringContaining('opencode serve not ready in 1000ms; stderr: still loading') as string,
    });
    await clock.advance(1_000);
    await refused;
    expect(backend.life.calls[0]).toBe('stop');
    expect(backendOnly(transitions)).toEqual([
      'code idle → starting',
      'code starting → recovering',
      'code recovering → failed',
    ]);
  });

  it('tries a failed start again at once, up to the start attempts, and then backs off', async () => {
    const { backend, supervisor, clock } = fakeWorld({
      backend: { startAttempts: 2, restart: { backoff: { baseMs: 500, jitter: 'none' } } },
    });
    backend.onLaunch = (life) => life.end({ code: 'ERR_EXITED_BEFORE_READY', message: 'no' });
    void supervisor.backend('code').start();
    await clock.advance(0);
    expect(backend.lives).toHaveLength(2);
    await clock.advance(499);
    expect(backend.lives).toHaveLength(2);
    await clock.advance(1);
    expect(backend.lives).toHaveLength(3);
  });

  it('can be started again after a failed start: a failure is not kept for ever', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    backend.onLaunch = (life) => life.end({ code: 'ERR_SPAWN_FAILED', reason: 'ENOENT', message: 'not found' });
    expect(await supervisor.backend('code').start()).toMatchObject({
      state: 'failed',
      lastError: { code: 'ERR_SPAWN_FAILED', message: 'not found' },
    });
    backend.onLaunch = (life) => life.up();
    expect(await supervisor.backend('code').start()).toMatchObject({ state: 'healthy' });
    await clock.advance(0);
    expect(supervisor.status().backends['code']).not.toHaveProperty('lastError');
  });

  it('does not retry what cannot be mended by trying again', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    backend.onVerify = () => Promise.reject(new Error('unused'));
    backend.onLaunch = (life) => life.end({ code: 'ERR_CONFIG_INVALID', message: 'broken' });
    await expect(supervisor.openSession({ backend: 'code', directory })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    await clock.advance(600_000);
    expect(backend.lives).toHaveLength(1);
  });

  it('gives a failed server one attempt for each explicit start', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    backend.onLaunch = (life) => life.end({ code: 'ERR_CONFIG_INVALID', message: 'broken' });
    await supervisor.backend('code').start();
    backend.onLaunch = (life) => life.end({ code: 'ERR_EXITED_BEFORE_READY', message: 'transient' });
    await expect(supervisor.openSession({ backend: 'code', directory })).rejects.toMatchObject({
      code: 'ERR_EXITED_BEFORE_READY',
    });
    await clock.advance(600_000);
    expect(backend.lives).toHaveLength(2);
  });

  it('rejects an open at its time limit with the last start error', async () => {
    const { backend, supervisor, clock } = fakeWorld({
      supervisor: { openTimeoutMs: 2_000 },
      backend: { restart: { backoff: { baseMs: 10_000, jitter: 'none' } } },
    });
    backend.onLaunch = (life) => life.end({ code: 'ERR_EXITED_BEFORE_READY', message: 'exited with code 3' });
    const refused = expect(supervisor.openSession({ backend: 'code', directory })).rejects.toMatchObject({
      code: 'ERR_EXITED_BEFORE_READY',
      message: expect.stringMatching(/not ready within 2000 ms.*exited with code 3/) as string,
    });
    await clock.advance(2_000);
    await refused;
  });

  it('lets a caller give up waiting, and starts on for the others', async () => {
    const { backend, supervisor } = fakeWorld();
    backend.onLaunch = () => undefined;
    const giveUp = new AbortController();
    const impatient = supervisor.openSession({ backend: 'code', directory, signal: giveUp.signal });
    const patient = supervisor.openSession({ backend: 'code', directory });
    giveUp.abort(new Error('too slow'));
    await expect(impatient).rejects.toThrow('too slow');
    backend.life.up();
    await expect(patient).resolves.toBeDefined();
  });
});

describe('a server that dies', () => {
  it('is recovering until the next life works, and the next life is a new generation', async () => {
    const { backend, supervisor, clock, transitions, events } = fakeWorld();
    const first = await supervisor.backend('code').acquire();
    await clock.advance(10_000);
    backend.life.end({ code: 'ERR_BACKEND_EXITED', message: 'killed by SIGKILL' });
    expect(first.ended.aborted).toBe(true);
    await clock.advance(0);
    expect(supervisor.status().backends['code']).toMatchObject({ state: 'healthy', restarts: 1 });
    expect(backendOnly(transitions)).toEqual([
      'code idle → starting',
      'code starting → healthy',
      'code healthy → recovering',
      'code recovering → healthy',
    ]);
    const reason = events.transition.find(({ to }) => to === 'recovering')?.reason;
    expect(reason).toBe('ERR_BACKEND_EXITED: killed by SIGKILL');
    const second = await supervisor.backend('code').acquire();
    expect([first.generation, second.generation]).toEqual([1, 2]);
    expect(second.ended.aborted).toBe(false);
  });

  it('comes back at once after ten healthy seconds, and after the backoff before that', async () => {
    const { backend, supervisor, clock } = fakeWorld({
      backend: { restart: { backoff: { baseMs: 700, jitter: 'none' } } },
    });
    await supervisor.backend('code').start();
    await clock.advance(9_999);
    backend.life.end();
    await clock.advance(699);
    expect(backend.lives).toHaveLength(1);
    await clock.advance(1);
    expect(backend.lives).toHaveLength(2);
    await clock.advance(60_000);
    backend.life.end();
    await clock.advance(0);
    expect(backend.lives).toHaveLength(3);
  });

  it('doubles the wait up to its limit, and starts from the base after a minute of health', async () => {
    const { backend, supervisor, clock } = fakeWorld({
      backend: { restart: { maxRestarts: 20, backoff: { baseMs: 1_000, maxMs: 4_000, jitter: 'none' } } },
    });
    await supervisor.backend('code').start();
    const waits: number[] = [];
    for (let count = 0; count < 4; count += 1) {
      await clock.advance(1_000);
      backend.life.end();
      waits.push(await waitForNextLife());
    }
    await clock.advance(60_000);
    await clock.advance(1);
    backend.onLaunch = (life) => life.up();
    backend.life.end();
    waits.push(await waitForNextLife());
    expect(waits).toEqual([1_000, 2_000, 4_000, 4_000, 0]);

    async function waitForNextLife(): Promise<number> {
      const lives = backend.lives.length;
      const start = clock.now();
      await clock.advance(0);
      while (backend.lives.length === lives) await clock.advance(100);
      return clock.now() - start;
    }
  });

  it('is given up after five restarts in three minutes, with exactly six launches, and then makes none', async () => {
    const { backend, supervisor, clock } = fakeWorld({
      backend: { restart: { backoff: { baseMs: 100, jitter: 'none' } } },
    });
    backend.onLaunch = (life) => life.end({ code: 'ERR_EXITED_BEFORE_READY', message: 'exit 1' });
    void supervisor.backend('code').start();
    await clock.advance(180_000);
    expect(backend.lives).toHaveLength(6);
    expect(supervisor.status().backends['code']).toMatchObject({
      state: 'failed',
      lastError: { code: 'ERR_RESTART_LIMIT' },
    });
    await clock.advance(3_600_000);
    expect(backend.lives).toHaveLength(6);
  });

  it('does not come back where it is started only when needed and nobody needs it', async () => {
    const { backend, supervisor, clock } = fakeWorld({ backend: { restart: { when: 'needed' } } });
    await supervisor.backend('code').start();
    backend.life.end({ code: 'ERR_BACKEND_EXITED', message: 'gone' });
    await clock.advance(60_000);
    expect(supervisor.status().backends['code']).toMatchObject({ state: 'idle', lastError: { message: 'gone' } });
    expect(backend.lives).toHaveLength(1);
    await supervisor.openSession({ backend: 'code', directory });
    expect(backend.lives).toHaveLength(2);
  });

  it('ignores what an old process still says', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    const [old] = backend.lives;
    await supervisor.backend('code').restart();
    old?.observer.ended({ failure: { code: 'ERR_BACKEND_EXITED', message: 'late' }, stderrTail: '' });
    await clock.advance(60_000);
    expect(supervisor.status().backends['code']).toMatchObject({ state: 'healthy', instances: [{ generation: 2 }] });
  });
});

describe('a lease', () => {
  const silent = () => Promise.reject(new Error('no answer'));

  it('is the same object for everybody, as long as the process lives', async () => {
    const { supervisor } = fakeWorld();
    const [one, two] = await Promise.all([supervisor.backend('code').acquire(), supervisor.backend('code').acquire()]);
    expect(one).toBe(two);
  });

  it('is refused to a caller that gives up, and that is no reason to restart anything', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    backend.onProbe = (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    const giveUp = new AbortController();
    const refused = expect(supervisor.backend('code').acquire({ signal: giveUp.signal })).rejects.toThrow('never mind');
    giveUp.abort(new Error('never mind'));
    await refused;
    await clock.advance(1_000);
    expect(backend.lives).toHaveLength(1);
  });

  it('of a server that does not answer is one of its successor', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    backend.onProbe = silent;
    expect(await supervisor.backend('code').acquire()).toMatchObject({ generation: 2 });
  });

  it('is not worth the turns of others: a busy server that does not answer is left to its grace', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    const session = await supervisor.openSession({ backend: 'code', directory });
    void session.prompt('work');
    await clock.advance(0);
    backend.onProbe = silent;
    await expect(supervisor.backend('code').acquire()).rejects.toMatchObject({ code: 'ERR_BACKEND_EXITED' });
    expect(backend.lives).toHaveLength(1);
  });
});

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
