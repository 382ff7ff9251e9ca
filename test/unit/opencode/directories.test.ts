import { describe, expect, it } from 'vitest';
import { Directories } from '../../../adapters/opencode/directories.ts';
import { silentLogger } from '../../../actors/defaults/system-clock.ts';
import { settled } from '../../fixtures/virtual-clock.ts';

/** Directories whose giving up ends when the test says so. */
function world() {
  const log: string[] = [];
  const ends: ((isDone: boolean) => void)[] = [];
  const fails: (() => void)[] = [];
  const directories = new Directories((directory) => {
    log.push(directory);
    return new Promise((resolve, reject) => {
      ends.push(resolve);
      fails.push(() => reject(new Error('no answer')));
    });
  }, silentLogger);
  return { directories, log, ends, fails };
}

describe('directories that are to be read again', () => {
  it('are given up where nobody works at once, and elsewhere when the last turn there is over', async () => {
    const { directories, log, ends } = world();
    directories.know('/idle');
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
    directories.know('/a');
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
    at.directories.know('/a');
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
    directories.forgetStale();
    leave();
    await directories.use('/a');
    expect(log).toEqual([]);
  });
});
