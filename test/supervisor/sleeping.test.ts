import { describe, expect, it } from 'vitest';
import { createSupervisor } from '../../index.ts';
import { FakeAgents } from '../fixtures/fake-agents.ts';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { directory, isSettled, openWorld, runningWorld } from '../fixtures/running-turn.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const hour = 3_600_000;
const sick = () => Promise.reject(new Error('no answer'));
const asleep = /The host slept for \d+ ms; everything that runs is checked\./;
type World = ReturnType<typeof fakeWorld>;
const stateOf = ({ supervisor }: World) => supervisor.backend('code').status();
const sleeps = ({ logged }: World) => logged.filter(({ message }) => asleep.test(message)).length;
const called = ({ backend }: World, what: string) => backend.calls.filter((call) => call === what).length;

async function healthyWorld(options: Parameters<typeof fakeWorld>[0] = {}) {
  const world = fakeWorld(options);
  await world.supervisor.backend('code').start();
  return world;
}

/** A server with a running turn that fails its checks; nothing but the grace decides. */
async function gracedWorld() {
  const world = await healthyWorld();
  const session = await world.supervisor.openSession({ backend: 'code', directory });
  void session.prompt('work');
  await world.clock.advance(0);
  world.backend.onProbe = sick;
  await world.clock.advance(100_000);
  expect(stateOf(world).state).toBe('unhealthy');
  return world;
}

describe('a host that was frozen', () => {
  it('says so once', async () => {
    const world = await healthyWorld();
    await world.clock.freeze(hour);
    await world.clock.advance(60_000);
    expect(world.logged.filter(({ message }) => asleep.test(message))).toEqual([
      {
        level: 'info',
        data: { sleptMs: hour },
        message: `The host slept for ${hour} ms; everything that runs is checked.`,
      },
    ]);
  });

  it('takes no turn for inactive, and counts its silence from then on', async () => {
    const world = await runningWorld({ supervisor: { turn: { inactivityTimeoutMs: 60_000 } } });
    await world.clock.advance(50_000);
    await world.clock.freeze(hour);
    await world.clock.advance(59_999);
    expect(world.agent.calls).not.toContain('cancel');
    await world.clock.advance(1);
    expect(world.agent.calls).toContain('cancel');
  });

  it('gives a turn what was left of its deadline', async () => {
    const turn = { deadlineMs: 60_000, inactivityTimeoutMs: hour };
    const world = await runningWorld({ supervisor: { turn } });
    await world.clock.advance(50_000);
    await world.clock.freeze(hour);
    await world.clock.advance(9_999);
    expect(world.agent.calls).not.toContain('cancel');
    await world.clock.advance(1);
    expect(world.agent.calls).toContain('cancel');
  });

  it('gives a person what was left of the time to decide', async () => {
    const onPermission = () => undefined;
    const world = await runningWorld({ supervisor: { onPermission, turn: { decisionTimeoutMs: 60_000 } } });
    world.agent.sink.ask({
      type: 'permission',
      id: 'per_1',
      title: 'bash · ls',
      permission: 'bash',
      patterns: ['ls'],
      options: ['allow_once', 'reject_once'],
    });
    await world.clock.advance(50_000);
    const pending = world.supervisor.pendingDecisions().length;
    await world.clock.freeze(hour);
    expect([pending, world.supervisor.pendingDecisions().length]).toEqual([1, 1]);
    await world.clock.advance(10_000);
    expect(world.supervisor.pendingDecisions()).toEqual([]);
  });

  it('forgets the checks that failed before, and makes one at once', async () => {
    const world = await healthyWorld({ backend: { health: { failureThreshold: 3 } } });
    world.backend.onProbe = sick;
    await world.clock.advance(20_000);
    expect(stateOf(world)).toMatchObject({ state: 'unhealthy', consecutiveFailures: 2 });
    const before = called(world, 'probe');
    await world.clock.freeze(hour);
    expect([called(world, 'probe') - before, stateOf(world).consecutiveFailures]).toEqual([1, 1]);
    await world.clock.advance(10_000);
    expect([stateOf(world).consecutiveFailures, world.backend.lives.length]).toEqual([2, 1]);
    await world.clock.advance(10_000);
    expect(world.backend.lives).toHaveLength(2);
  });

  it('checks a healthy server at once, whatever the traffic says', async () => {
    const world = await healthyWorld({ backend: { health: { intervalMs: 2 * hour } } });
    world.backend.seenAt = world.clock.now();
    await world.clock.freeze(hour);
    expect([called(world, 'probe'), stateOf(world).state, world.backend.lives.length]).toEqual([1, 'healthy', 1]);
  });

  it('begins the busy grace anew', async () => {
    const world = await gracedWorld();
    await world.clock.freeze(hour);
    await world.clock.advance(119_999);
    expect([stateOf(world).state, world.backend.lives.length]).toEqual(['unhealthy', 1]);
    await world.clock.advance(1);
    expect(world.backend.lives).toHaveLength(2);
  });

  it('keeps its streams, and asks once what became of all that runs', async () => {
    const world = await openWorld({ backend: { health: { enabled: false } } });
    const other = await world.supervisor.openSession({ backend: 'code', directory, chatId: 'other' });
    const turns = [world.session.prompt('one'), other.prompt('two')];
    await world.clock.advance(20_000);
    world.backend.onReconcile = (running) => {
      for (const turn of running) turn.complete();
      return Promise.resolve();
    };
    const before = called(world, 'reconcile');
    await world.clock.freeze(hour);
    expect([called(world, 'reconcile') - before, world.backend.connections.length]).toEqual([1, 1]);
    const outcomes = (await Promise.all(turns.map(({ result }) => result))).map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['completed', 'completed']);
    expect(world.transitions.filter((transition) => /stream.* unhealthy/.test(transition))).toEqual([]);
  });

  it('leaves a start what was left of its time', async () => {
    const world = fakeWorld({ backend: { readyTimeoutMs: 30_000 } });
    world.backend.onLaunch = () => undefined;
    void world.supervisor.backend('code').start();
    await world.clock.advance(20_000);
    await world.clock.freeze(hour);
    await world.clock.advance(9_999);
    expect([stateOf(world).state, world.backend.lives.length]).toEqual(['starting', 1]);
  });
});

describe('a pool of agents whose host was frozen', () => {
  it('checks each agent that is up, once, and keeps what is warm for what was left of its time', async () => {
    const clock = new VirtualClock();
    const agents = new FakeAgents();
    const backends = { pool: agents.definition };
    const supervisor = createSupervisor({ backends, clock, pool: { idleTtlMs: hour } });
    const open = (chatId: string) => supervisor.openSession({ backend: 'pool', directory: `/${chatId}`, chatId });
    const opened = Promise.all([open('one'), open('two'), open('three')]);
    await clock.advance(hour / 2);
    await opened;
    const checked: string[] = [];
    for (const life of agents.lives)
      life.probe = () => Promise.resolve(checked.push(life.directory)).then(() => undefined);
    await clock.freeze(20 * hour);
    expect(checked.sort()).toEqual(['/one', '/three', '/two']);
    await clock.advance(hour / 2 - 60_000);
    const before = agents.running.length;
    await clock.advance(120_000);
    expect([before, agents.running.length]).toEqual([3, 0]);
  });
});

describe('a machine that slept: the wall clock went on, and nothing else', () => {
  it('is noticed, and everything that runs is checked', async () => {
    const world = await gracedWorld();
    world.clock.jumpWall(hour);
    await world.clock.advance(1_000);
    await world.clock.advance(119_000);
    expect([sleeps(world), stateOf(world).state, world.backend.lives.length]).toEqual([1, 'unhealthy', 1]);
  });

  it('ends no grace that is over as it wakes', async () => {
    const world = await gracedWorld();
    await world.clock.advance(29_999);
    world.clock.jumpWall(hour);
    await world.clock.advance(60_000);
    expect([sleeps(world), stateOf(world).state, world.backend.lives.length]).toEqual([1, 'unhealthy', 1]);
  });

  it('touches its turns', async () => {
    const world = await runningWorld({ supervisor: { turn: { inactivityTimeoutMs: 60_000 } } });
    await world.clock.advance(59_999);
    world.clock.jumpWall(hour);
    await world.clock.advance(1);
    await world.clock.advance(59_999);
    expect(world.agent.calls).not.toContain('cancel');
    await world.clock.advance(1);
    expect(world.agent.calls).toContain('cancel');
  });
});

describe('a wall clock that jumps to and fro', () => {
  it('makes one check within five seconds at most, and restarts nothing', async () => {
    const world = await runningWorld({
      backend: { health: { intervalMs: 60_000 }, stream: { stallMs: 86_400_000 } },
    });
    const before = called(world, 'probe');
    for (let count = 0; count < 240; count += 1) {
      world.clock.jumpWall(count % 2 === 0 ? hour : -hour);
      await world.clock.advance(1_000);
      world.agent.say('still here');
    }
    const checks = called(world, 'probe') - before;
    expect(sleeps(world)).toBeGreaterThan(0);
    expect(checks).toBeLessThanOrEqual(240 / 5);
    expect([world.backend.lives.length, world.backend.connections.length, await isSettled(world.turn)]).toEqual([
      1,
      1,
      false,
    ]);
  });

  it('backwards is no sleep', async () => {
    const world = await healthyWorld();
    world.clock.jumpWall(-hour);
    await world.clock.advance(5_000);
    expect([called(world, 'probe'), world.logged.filter(({ data }) => 'byMs' in data)]).toEqual([
      0,
      [
        {
          level: 'info',
          data: { byMs: hour },
          message: `The wall clock was set back by ${hour} ms; nothing slept.`,
        },
      ],
    ]);
  });
});

describe('a supervisor in which nothing runs', () => {
  it('has no timer, notices no sleep, and starts nothing', async () => {
    const world = await healthyWorld();
    await world.supervisor.backend('code').stop();
    await world.clock.freeze(hour);
    world.clock.jumpWall(hour);
    await world.clock.advance(60_000);
    expect([world.clock.pending, sleeps(world), world.backend.lives.length, stateOf(world).state]).toEqual([
      [],
      0,
      1,
      'idle',
    ]);
  });
});
