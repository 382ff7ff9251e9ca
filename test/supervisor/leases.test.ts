import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const directory = '/project';

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

  it('costs a server that does not answer one restart, however many ask and however late they learn it', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    const late: (() => void)[] = [];
    backend.onProbe = () => new Promise((_, reject) => late.push(() => reject(new Error('no answer'))));
    const first = supervisor.backend('code').acquire();
    const second = supervisor.backend('code').acquire();
    await settled();
    backend.onLaunch = (life) => {
      life.observer.prepared(1, null);
      life.observer.spawned(2);
    };
    late[0]?.();
    await settled();
    expect(supervisor.status().backends['code']?.detail).toBe('recovering.restarting.awaitingReady');
    late[1]?.();
    await settled();
    backend.life.observer.listening(1);
    expect(await Promise.all([first, second])).toMatchObject([{ generation: 2 }, { generation: 2 }]);
    expect(backend.lives).toHaveLength(2);
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

  it('is handed out to several at once: their probes overlap, and nobody waits for another', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    const answers: (() => void)[] = [];
    backend.onProbe = () => new Promise((resolve) => answers.push(resolve));
    const asked = [1, 2, 3].map(() => supervisor.backend('code').acquire());
    await settled();
    expect(answers).toHaveLength(3);
    for (const answer of answers) answer();
    const [one, ...others] = await Promise.all(asked);
    for (const other of others) expect(other).toBe(one);
  });

  it('does not keep others from anything while it is being checked', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    backend.onProbe = () => new Promise(() => undefined);
    const asked = supervisor
      .backend('code')
      .acquire()
      .catch(() => 'given up');
    await settled();
    expect((await supervisor.backend('code').stop()).state).toBe('idle');
    expect((await supervisor.backend('code').start()).state).toBe('healthy');
    void asked;
  });

  it('is one of the successor where the server was replaced while it was being checked, and starts nothing more', async () => {
    const { backend, supervisor } = fakeWorld();
    await supervisor.backend('code').start();
    let answer!: () => void;
    backend.onProbe = () => new Promise((resolve) => (answer = resolve));
    const asked = supervisor.backend('code').acquire();
    await settled();
    await supervisor.backend('code').restart();
    answer();
    expect(await asked).toMatchObject({ generation: 2 });
    expect(backend.lives).toHaveLength(2);
  });

  it('stays readable when its server is replaced, and knows that it is over', async () => {
    const { supervisor } = fakeWorld();
    const old = await supervisor.backend('code').acquire();
    expect(old.ended.aborted).toBe(false);
    await supervisor.backend('code').restart();
    const next = await supervisor.backend('code').acquire();
    expect([old.generation, old.ended.aborted, next.generation, next.ended.aborted]).toEqual([1, true, 2, false]);
    expect(old.ended.reason).toMatchObject({ code: 'ERR_BACKEND_EXITED' });
  });

  it('that is held makes its server needed; given back, it does not, however often it is given back', async () => {
    const { backend, supervisor, clock } = fakeWorld({ backend: { restart: { when: 'needed' } } });
    const lease = await supervisor.backend('code').acquire();
    await supervisor.backend('code').acquire();
    lease.release();
    backend.life.end();
    await clock.advance(60_000);
    expect([supervisor.status().backends['code']?.state, backend.lives.length]).toEqual(['healthy', 2]);
    const next = await supervisor.backend('code').acquire();
    next.release();
    next.release();
    lease.release();
    const other = await supervisor.backend('code').acquire();
    backend.life.end();
    await clock.advance(60_000);
    expect(backend.lives.length).toBe(3);
    expect(other.ended.aborted).toBe(true);
    backend.life.end();
    await clock.advance(60_000);
    expect([supervisor.status().backends['code']?.state, backend.lives.length]).toEqual(['idle', 3]);
  });

  it('that nobody can get in time is refused with the last start error', async () => {
    const { backend, supervisor, clock } = fakeWorld({ supervisor: { openTimeoutMs: 2_000 } });
    backend.onLaunch = (life) => life.end({ code: 'ERR_BACKEND_EXITED', message: 'the disk is full' });
    const asked = expect(supervisor.backend('code').acquire()).rejects.toThrow('the disk is full');
    await clock.advance(2_000);
    await asked;
  });

  it('that waits for a server to be replaced is refused where somebody stops that server: the stop has the last word', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    backend.life.onStop = () => void clock.setTimeout(() => backend.life.end(), 1_000);
    backend.onProbe = silent;
    const asked = expect(supervisor.backend('code').acquire()).rejects.toMatchObject({ code: 'ERR_STOPPED' });
    await settled();
    const stopped = supervisor.backend('code').stop();
    await clock.advance(60_000);
    await asked;
    expect([(await stopped).state, supervisor.status().backends['code']?.state, backend.lives.length]).toEqual([
      'idle',
      'idle',
      1,
    ]);
  });

  it('is one of the server that comes, for a caller whose probe is answered while the old one is being ended', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    const [old] = backend.lives;
    if (old) old.onStop = () => undefined;
    let answer!: () => void;
    backend.onProbe = () => new Promise((resolve) => (answer = resolve));
    const asked = supervisor.backend('code').acquire();
    await settled();
    void supervisor.backend('code').restart();
    await settled();
    answer();
    await settled();
    old?.end();
    await clock.advance(0);
    const lease = await asked;
    expect([lease.generation, lease.ended.aborted]).toEqual([2, false]);
  });

  it('of a server that was replaced before a slow probe of it failed costs no second restart', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    await supervisor.backend('code').start();
    const late: (() => void)[] = [];
    backend.onProbe = () => new Promise((_, reject) => late.push(() => reject(new Error('no answer'))));
    const [first, second] = [supervisor.backend('code').acquire(), supervisor.backend('code').acquire()];
    await settled();
    late[0]?.();
    expect(await first).toMatchObject({ generation: 2 });
    late[1]?.();
    await clock.advance(0);
    expect([(await second).generation, backend.lives.length]).toEqual([2, 2]);
  });

  it('is handed out where the server shows life in another way while its probe fails', async () => {
    const { backend, supervisor, clock } = fakeWorld();
    const lease = await supervisor.backend('code').acquire();
    backend.onProbe = () => {
      backend.seenAt = clock.now() + 1;
      return Promise.reject(new Error('too busy to answer'));
    };
    expect(await supervisor.backend('code').acquire()).toBe(lease);
    expect(backend.lives).toHaveLength(1);
  });

  it('is waited for no longer than a check may take', async () => {
    const { backend, supervisor, clock } = fakeWorld({ backend: { health: { timeoutMs: 2_000 } } });
    await supervisor.backend('code').start();
    backend.onProbe = () => new Promise(() => undefined);
    const asked = supervisor.backend('code').acquire();
    await clock.advance(1_999);
    expect(backend.lives).toHaveLength(1);
    backend.onProbe = () => Promise.resolve();
    await clock.advance(1);
    expect((await asked).generation).toBe(2);
  });
});
