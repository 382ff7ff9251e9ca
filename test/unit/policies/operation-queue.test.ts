import { describe, expect, it } from 'vitest';
import { OperationQueue } from '../../../actors/backend/operation-queue.ts';
import { type Admission, admitOperation, type OperationKind } from '../../../machines/policies/operation-queue.ts';
import { settled } from '../../fixtures/virtual-clock.ts';

describe('what becomes of a request', () => {
  it.each<[OperationKind, OperationKind | undefined, OperationKind[], Admission]>([
    ['start', undefined, [], 'wait'],
    ['start', 'start', [], 'join-running'],
    ['start', 'restart', [], 'join-running'],
    ['start', 'start', ['reload'], 'wait'],
    ['start', 'stop', [], 'wait'],
    ['start', 'stop', ['start'], 'join-waiting'],
    ['restart', undefined, [], 'wait'],
    ['restart', 'start', [], 'overtake'],
    ['restart', 'restart', [], 'overtake'],
    ['restart', 'stop', [], 'wait'],
    ['restart', 'checkNow', ['restart'], 'join-waiting'],
    ['reload', 'start', [], 'overtake'],
    ['reload', 'checkNow', [], 'wait'],
    ['reload', 'start', ['reload'], 'join-waiting'],
    ['checkNow', 'checkNow', [], 'wait'],
    ['checkNow', 'restart', ['checkNow'], 'join-waiting'],
    ['stop', undefined, [], 'clear'],
    ['stop', 'restart', ['start', 'checkNow'], 'clear'],
    ['stop', 'stop', [], 'clear'],
  ])('%s, while %s runs and %j wait: %s', (kind, running, waiting, admission) => {
    expect(admitOperation(kind, { running, waiting })).toBe(admission);
  });
});

/** Operations that end when the test says so. */
function queue() {
  const line = new OperationQueue<string>();
  const log: string[] = [];
  const ends = new Map<string, (result: string) => void>();
  const ask = (kind: OperationKind, name: string) => {
    const done = line.request(kind, () => {
      log.push(name);
      return new Promise((resolve) => ends.set(name, resolve));
    });
    return done.then((result) => void log.push(`${name} ended with ${result}`));
  };
  const end = async (name: string) => {
    ends.get(name)?.(name);
    await settled();
  };
  return { ask, end, log };
}

describe('a queue of operations', () => {
  it('does one after the other, in the order in which they were asked for', async () => {
    const { ask, end, log } = queue();
    for (const [kind, name] of [
      ['checkNow', 'a'],
      ['reload', 'b'],
      ['restart', 'c'],
    ] as const)
      void ask(kind, name);
    for (const name of ['a', 'b', 'c']) await end(name);
    expect(log).toEqual(['a', 'a ended with a', 'b', 'b ended with b', 'c', 'c ended with c']);
  });

  it('does what was asked for twice once, and tells both', async () => {
    const { ask, end, log } = queue();
    void ask('start', 'a');
    void ask('start', 'a too');
    void ask('checkNow', 'b');
    void ask('checkNow', 'b too');
    for (const name of ['a', 'b']) await end(name);
    expect(log).toEqual(['a', 'a ended with a', 'a too ended with a', 'b', 'b ended with b', 'b too ended with b']);
  });

  it('stops at once, tells what waited that it was stopped, and begins nothing before what ran has ended, too', async () => {
    const { ask, end, log } = queue();
    void ask('start', 'start');
    void ask('checkNow', 'check');
    void ask('stop', 'stop');
    void ask('start', 'again');
    await end('stop');
    expect(log).toEqual(['start', 'stop', 'stop ended with stop', 'check ended with stop']);
    await end('start');
    expect(log.slice(4)).toEqual(['start ended with start', 'again']);
  });

  it('goes on after one that failed, and tells who asked for it', async () => {
    const line = new OperationQueue<string>();
    const failing = line.request('reload', () => Promise.reject(new Error('broken')));
    const next = line.request('checkNow', () => Promise.resolve('checked'));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe('checked');
  });
});
