import { describe, expect, it } from 'vitest';
import { AwakeClock } from '../../actors/awake/awake-clock.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const hour = 3_600_000;

function awake() {
  const world = new VirtualClock();
  const told: string[] = [];
  const clock = new AwakeClock(world, {
    woke: (sleptMs) => told.push(`slept ${sleptMs}`),
    setBack: (byMs) => told.push(`set back ${byMs}`),
  });
  const fired: [string, number][] = [];
  const after = (name: string, delayMs: number) =>
    clock.setTimeout(() => fired.push([name, clock.now()]), delayMs) as object;
  return { world, clock, told, fired, after };
}

describe('a clock of the time in which the host is awake', () => {
  it('is that of the host as long as nothing sleeps', async () => {
    const { world, clock, told, fired, after } = awake();
    after('late', hour);
    after('soon', 10);
    await world.advance(hour);
    expect([clock.now(), clock.wallNow(), fired, told]).toEqual([
      hour,
      world.wallNow(),
      [
        ['soon', 10],
        ['late', hour],
      ],
      [],
    ]);
  });

  it('stands still in a freeze: a timer waits for what is left of it, and keeps its place', async () => {
    const { world, clock, told, fired, after } = awake();
    after('last', 60_000);
    after('first', 30_000);
    await world.advance(20_000);
    await world.freeze(hour);
    expect([clock.now(), fired, told]).toEqual([20_000, [], [`slept ${hour}`]]);
    await world.advance(9_999);
    expect(fired).toEqual([]);
    await world.advance(30_001);
    expect(fired).toEqual([
      ['first', 30_000],
      ['last', 60_000],
    ]);
  });

  it('tells of a freeze before it fires anything', async () => {
    const { world, clock, told } = awake();
    clock.setTimeout(() => told.push('due'), 5_000);
    await world.advance(4_999);
    world.increment(0.5);
    clock.now();
    await world.freeze(hour);
    expect(told).toEqual([`slept ${hour}`]);
    await world.advance(1);
    expect(told).toEqual([`slept ${hour}`, 'due']);
  });

  it('begins a freeze where the process was last seen: what it forgets of a limit is a tick at most', async () => {
    const { world, clock, after } = awake();
    after('later', hour);
    await world.advance(9_999);
    await world.freeze(hour);
    expect(clock.now()).toBe(5_000);
  });

  it('notices a freeze also where the first to run asks for the time', async () => {
    const { world, clock, after, told } = awake();
    after('later', 86_400_000);
    await world.advance(7_000);
    const seen: number[] = [];
    world.setTimeout(() => seen.push(clock.now()), 5);
    await world.freeze(hour);
    expect([seen, told]).toEqual([[5_000], [`slept ${hour + 2_000}`]]);
  });

  it('takes a busy spell of ten seconds for one', async () => {
    const { world, clock, after, told } = awake();
    after('later', hour);
    await world.freeze(10_000);
    expect([clock.now(), told]).toEqual([10_000, []]);
  });

  it('counts several freezes one on top of the other', async () => {
    const { world, clock, fired, after, told } = awake();
    after('later', 100_000);
    for (let count = 0; count < 3; count += 1) {
      await world.advance(10_000);
      await world.freeze(hour);
    }
    expect([clock.now(), told]).toEqual([30_000, Array<string>(3).fill(`slept ${hour}`)]);
    await world.advance(70_000);
    expect(fired).toEqual([['later', 100_000]]);
  });
});

describe('a wall clock that steps', () => {
  it('forwards was a sleep of the machine, which is told before whatever fires next', async () => {
    const { world, clock, told } = awake();
    clock.setTimeout(() => told.push('due'), 1_000);
    await world.advance(500);
    world.jumpWall(hour);
    await world.advance(500);
    expect([told, clock.now()]).toEqual([[`slept ${hour}`, 'due'], 1_000]);
  });

  it('forwards is noticed within five seconds where nothing fires', async () => {
    const { world, told, after } = awake();
    after('later', hour);
    world.jumpWall(hour);
    await world.advance(4_999);
    expect(told).toEqual([]);
    await world.advance(1);
    expect(told).toEqual([`slept ${hour}`]);
  });

  it('backwards is told as that', async () => {
    const { world, told, after } = awake();
    after('later', hour);
    world.jumpWall(-hour);
    await world.advance(60_000);
    expect(told).toEqual([`set back ${hour}`]);
  });

  it('little by little, as it is corrected, is nothing', async () => {
    const { world, told, after } = awake();
    after('later', hour);
    for (let count = 0; count < 100; count += 1) {
      world.jumpWall(9_000);
      await world.advance(5_000);
    }
    expect(told).toEqual([]);
  });

  it('again and again is told once within a tick, as the sum of it', async () => {
    const { world, clock, told } = awake();
    const often = () => void clock.setTimeout(often, 100);
    often();
    for (let count = 0; count < 100; count += 1) {
      world.jumpWall(hour);
      await world.advance(100);
    }
    await world.advance(5_000);
    expect(told).toEqual([`slept ${hour}`, `slept ${50 * hour}`, `slept ${49 * hour}`]);
  });
});

describe('the tick of the clock', () => {
  it('runs only while a timer is set', async () => {
    const { world, clock, after } = awake();
    const first = after('first', 100);
    const second = after('second', hour);
    expect(world.pending).toEqual([100, 5_000, hour]);
    clock.clearTimeout(first);
    clock.clearTimeout(first);
    expect(world.pending).toEqual([5_000, hour]);
    clock.clearTimeout(second);
    expect(world.pending).toEqual([]);
    after('third', 7_000);
    await world.advance(7_000);
    expect(world.pending).toEqual([]);
  });

  it('ends also behind a callback that throws', async () => {
    const { world, clock } = awake();
    clock.setTimeout(() => {
      throw new Error('broken');
    }, 10);
    await expect(world.advance(10)).rejects.toThrow('broken');
    expect(world.pending).toEqual([]);
  });

  it('does not take a rest without timers for a sleep', async () => {
    const { world, clock, fired, after, told } = awake();
    after('before', 10);
    await world.advance(hour);
    world.jumpWall(hour);
    after('behind', 10);
    await world.advance(10_000);
    expect([clock.now(), fired.length, told]).toEqual([hour + 10_000, 2, []]);
  });
});
