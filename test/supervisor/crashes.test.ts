import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const directory = '/project';
const backendOnly = (transitions: readonly string[]) => transitions.filter((line) => line.startsWith('code '));

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

  it('is told when everything that depends on it knows: the status, the leases, and the log as a warning', async () => {
    const { backend, supervisor, logged } = fakeWorld();
    const lease = await supervisor.backend('code').acquire();
    const seen: unknown[] = [];
    supervisor.on('transition', ({ kind, to }) => {
      if (kind !== 'backend' || to !== 'recovering') return;
      const { state, instances } = supervisor.backend('code').status();
      seen.push([state, instances.map(({ pid }) => pid), lease.ended.aborted]);
    });
    backend.life.end();
    await settled();
    expect(seen).toEqual([['recovering', [undefined], true]]);
    expect(logged.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
      'Backend code: healthy → recovering (ERR_BACKEND_EXITED: the fake ended)',
    ]);
  });

  it('is joined by callers that come while its next life still looks for a port', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    backend.onLaunch = () => undefined;
    void supervisor.backend('code').restart();
    await settled();
    expect(supervisor.status().backends['code']?.detail).toBe('recovering.restarting.preparing');
    const opened = [
      supervisor.openSession({ backend: 'code', directory }),
      supervisor.openSession({ backend: 'code', directory: '/other' }),
    ];
    await settled();
    backend.life.up();
    await Promise.all(opened);
    expect(backend.lives).toHaveLength(2);
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
    old?.observer.ended({ failure: { code: 'ERR_BACKEND_EXITED', message: 'late' }, stderrTail: '', survivors: [] });
    await clock.advance(60_000);
    expect(supervisor.status().backends['code']).toMatchObject({ state: 'healthy', instances: [{ generation: 2 }] });
  });
});
