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
});
