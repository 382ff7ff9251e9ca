import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const directory = '/project';
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
    backend.life.observer.prepared(4001, null);
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
      life.observer.prepared(1, null);
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
    const { backend, supervisor, clock } = fakeWorld();
    backend.onLaunch = () => undefined;
    const giveUp = new AbortController();
    const impatient = supervisor.openSession({ backend: 'code', directory, signal: giveUp.signal });
    const patient = supervisor.openSession({ backend: 'code', directory });
    giveUp.abort(new Error('too slow'));
    await expect(impatient).rejects.toThrow('too slow');
    await clock.advance(0);
    backend.life.up();
    await expect(patient).resolves.toBeDefined();
  });
});
