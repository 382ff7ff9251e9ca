import { describe, expect, it } from 'vitest';
import { Directories, type DirectoryLimits } from '../../../adapters/opencode/directories.ts';
import { silentLogger } from '../../../actors/defaults/system-clock.ts';
import { settled, VirtualClock } from '../../fixtures/virtual-clock.ts';

/** Directories whose giving up ends when the test says so. */
function world(limits?: DirectoryLimits) {
  const log: string[] = [];
  const ends: ((isDone: boolean) => void)[] = [];
  const fails: (() => void)[] = [];
  const clock = new VirtualClock();
  const dispose = (directory: string) => {
    log.push(directory);
    return new Promise<boolean>((resolve, reject) => {
      ends.push(resolve);
      fails.push(() => reject(new Error('no answer')));
    });
  };
  const directories = new Directories({ dispose, clock, logger: silentLogger, limits });
  return { directories, clock, log, ends, fails };
}

describe('directories that are to be read again', () => {
  it('are given up where nobody works at once, and elsewhere when the last turn there is over', async () => {
    const { directories, log, ends } = world();
    directories.touch('/idle');
    const leave = await directories.enter('/busy');
    const also = await directories.enter('/busy');
    const refreshed = directories.refreshAll();
    expect(log).toEqual(['/idle']);
    ends[0]?.(true);
    await refreshed;
    leave();
    leave();
    await settled();
    expect(log).toEqual(['/idle']);
    also();
    expect(log).toEqual(['/idle', '/busy']);
  });

  it('keep a turn waiting while they are given up, and a second one does not begin in between', async () => {
    const { directories, log, ends } = world();
    directories.touch('/a');
    void directories.refreshAll();
    const entered: string[] = [];
    for (const name of ['one', 'two']) void directories.enter('/a').then(() => entered.push(name));
    await settled();
    expect([log, entered]).toEqual([['/a'], []]);
    ends[0]?.(true);
    await settled();
    expect([log, entered]).toEqual([['/a'], ['one', 'two']]);
  });

  it.each<[string, (at: ReturnType<typeof world>) => void]>([
    ['somebody else works there', ({ ends }) => ends[0]?.(false)],
    ['the server does not do it', ({ fails }) => fails[0]?.()],
  ])('are tried again before the next turn where %s', async (_, end) => {
    const at = world();
    at.directories.touch('/a');
    const refreshed = at.directories.refreshAll();
    end(at);
    await refreshed;
    void at.directories.enter('/a');
    await settled();
    expect(at.log).toEqual(['/a', '/a']);
  });

  it('need not be given up by another server, which has read nothing yet', async () => {
    const { directories, log } = world();
    const leave = await directories.enter('/a');
    await directories.refreshAll();
    directories.begin();
    leave();
    await directories.enter('/a');
    expect(log).toEqual([]);
  });
});

describe('directories that nobody uses', () => {
  const limits = { maxWarm: 2, idleTtlMs: 10_000, sweepMs: 1_000 };

  it('are given up after a while, and one that a turn is in is not', async () => {
    const { directories, clock, log, ends } = world({ ...limits, maxWarm: 100 });
    directories.touch('/idle');
    const leave = await directories.enter('/busy');
    await clock.advance(9_000);
    expect(log).toEqual([]);
    await clock.advance(2_000);
    expect(log).toEqual(['/idle']);
    ends[0]?.(true);
    await clock.advance(60_000);
    leave();
    await clock.advance(9_000);
    expect(log).toEqual(['/idle']);
    await clock.advance(2_000);
    expect(log).toEqual(['/idle', '/busy']);
    ends[1]?.(true);
    await clock.advance(1_000);
    expect(clock.pending).toEqual([]); // Nothing is held, and nothing is looked for.
  });

  it('make room for others, those that were used least recently first, and never those in use', async () => {
    const { directories, log, ends } = world(limits);
    const leave = await directories.enter('/in-use');
    directories.touch('/a');
    expect(log).toEqual([]);
    directories.touch('/b');
    expect(log).toEqual(['/a']);
    ends[0]?.(true);
    await settled();
    const also = await directories.enter('/b');
    directories.touch('/c');
    expect(log).toEqual(['/a']);
    leave();
    expect(log).toEqual(['/a', '/c']);
    ends[1]?.(true);
    await settled();
    directories.touch('/d');
    expect(log).toEqual(['/a', '/c', '/in-use']);
    also();
  });

  it('are kept while somebody works there with a client of their own, and asked for again only after a while', async () => {
    const { directories, clock, log, ends } = world({ ...limits, maxWarm: 100 });
    directories.touch('/a');
    await clock.advance(11_000);
    ends[0]?.(false);
    await clock.advance(900);
    expect(log).toEqual(['/a']);
    await clock.advance(1_100);
    expect(log).toEqual(['/a', '/a']);
  });

  it('are not given up by the request that comes for them, and not asked for again and again where they are kept', async () => {
    const { directories, clock, log, ends, fails } = world({ ...limits, maxWarm: 1 });
    const leave = await directories.enter('/busy');
    directories.touch('/a');
    expect(log).toEqual([]);
    directories.touch('/b');
    expect(log).toEqual(['/a']);
    fails[0]?.();
    await settled();
    for (let count = 0; count < 5; count += 1) directories.touch('/b');
    expect(log).toEqual(['/a']);
    await clock.advance(1_000);
    directories.touch('/b');
    expect(log).toEqual(['/a', '/a']);
    ends[1]?.(true);
    leave();
  });

  it('keep a turn waiting that comes while they are given up, and are warm again with it', async () => {
    const { directories, clock, log, ends } = world({ ...limits, maxWarm: 100 });
    directories.touch('/a');
    await clock.advance(11_000);
    let entered: (() => void) | undefined;
    void directories.enter('/a').then((leave) => (entered = leave));
    await clock.advance(0);
    expect(entered).toBeUndefined();
    ends[0]?.(true);
    await clock.advance(0);
    entered?.();
    await clock.advance(12_000);
    expect(log).toEqual(['/a', '/a']);
  });

  it('are none of a server that is gone, and none of ours on a server that somebody else runs', async () => {
    const gone = world(limits);
    const leave = await gone.directories.enter('/a');
    gone.directories.end();
    leave();
    gone.directories.touch('/b');
    expect(gone.clock.pending).toEqual([]);
    const foreign = world();
    for (const name of ['/a', '/b', '/c']) foreign.directories.touch(name);
    await foreign.clock.advance(100_000);
    expect([foreign.log, gone.log]).toEqual([[], []]);
  });
});
