import { describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';
import type { FakeConnection } from '../fixtures/fake-backend.ts';

const directory = '/project';
const lost = { code: 'ERR_STREAM_FAILED', message: 'reset' };
const refuse = (connection: FakeConnection) => connection.observer.failed(false, lost);

async function openWorld(options: Parameters<typeof fakeWorld>[0] = {}) {
  const world = fakeWorld({ backend: { health: { enabled: false } }, ...options });
  const session = await world.supervisor.openSession({ backend: 'code', directory, chatId: 'first' });
  await world.clock.advance(0);
  return { ...world, session };
}

const stream = ({ transitions }: FakeWorld) => transitions.filter((line) => line.startsWith('code/stream'));

/** How long after each other the connections were attempted, while time passes. */
async function attemptsWithin({ backend, clock }: FakeWorld, ms: number): Promise<number[]> {
  const times: number[] = [];
  const connect = backend.onConnect;
  backend.onConnect = (connection) => {
    times.push(clock.now());
    connect(connection);
  };
  const start = clock.now();
  await clock.advance(ms);
  return times.map((time) => time - start);
}

describe('the event stream', () => {
  it('is one connection for all sessions of the server', async () => {
    const world = await openWorld();
    for (let count = 0; count < 19; count += 1)
      await world.supervisor.openSession({ backend: 'code', directory: `/project/${count}` });
    await world.clock.advance(0);
    expect(world.backend.connections.map(({ target }) => target)).toEqual([{}]);
  });

  it('is one connection for each directory, or each session, where that is asked for', async () => {
    const targets = [];
    for (const scope of ['directory', 'session'] as const) {
      const world = await openWorld({ backend: { stream: { scope }, health: { enabled: false } } });
      await world.supervisor.openSession({ backend: 'code', directory });
      await world.supervisor.openSession({ backend: 'code', directory: '/other' });
      await world.clock.advance(0);
      targets.push(world.backend.connections.map(({ target }) => target));
    }
    expect(targets).toEqual([
      [{ directory: '/project' }, { directory: '/other' }],
      [
        { directory: '/project', sessionId: 'agent-session-1' },
        { directory: '/project', sessionId: 'agent-session-2' },
        { directory: '/other', sessionId: 'agent-session-3' },
      ],
    ]);
  });

  it('holds two hundred connections of one session each, and closes each with its session', async () => {
    const world = await openWorld({ backend: { stream: { scope: 'session' }, health: { enabled: false } } });
    const sessions = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        world.supervisor.openSession({ backend: 'code', directory, chatId: `c${index}` }),
      ),
    );
    await world.clock.advance(0);
    expect(world.backend.connections.filter((connection) => !connection.isClosed)).toHaveLength(201);
    await Promise.all(sessions.map((session) => session.close()));
    await world.clock.advance(0);
    expect(world.backend.connections.filter((connection) => !connection.isClosed)).toHaveLength(1);
  });

  it('reconnects after 1, 2, 4, 8, 16 and 30 seconds, then gives up and is quiet', async () => {
    const world = await openWorld();
    world.backend.onConnect = refuse;
    world.backend.connection.observer.failed(false, lost);
    expect(await attemptsWithin(world, 3_600_000)).toEqual([1_000, 3_000, 7_000, 15_000, 31_000, 61_000]);
    expect(stream(world).slice(2)).toEqual(['code/stream-0 healthy → recovering', 'code/stream-0 recovering → failed']);
  });

  it('asks what was missed after each loss, before it waits, and once more after each connect', async () => {
    const world = await openWorld();
    world.session.prompt('work');
    await world.clock.advance(0);
    world.backend.calls.length = 0;
    world.backend.connection.observer.failed(true, lost);
    await world.clock.advance(0);
    expect(world.backend.calls).toEqual(['reconcile']);
    await world.clock.advance(1_000);
    expect(world.backend.calls).toEqual(['reconcile', 'reconcile']);
  });

  it('starts the count again after a connection that delivered something', async () => {
    const world = await openWorld();
    world.backend.onConnect = (connection) => {
      connection.open();
      connection.observer.failed(true, lost);
    };
    world.backend.connection.observer.failed(true, lost);
    const attempts = await attemptsWithin(world, 100_000);
    expect(attempts).toHaveLength(100);
    expect(stream(world)).not.toContain('code/stream-0 recovering → failed');
  });

  it('does not start the count again for connections that only greet', async () => {
    const world = await openWorld();
    world.backend.onConnect = (connection) => {
      connection.open();
      connection.observer.failed(false, lost);
    };
    world.backend.connection.observer.failed(false, lost);
    expect(await attemptsWithin(world, 3_600_000)).toHaveLength(6);
  });

  it('goes on where nobody answers what was missed: it asks again, and dies of it as little as the server', async () => {
    const world = await openWorld();
    const turn = world.session.prompt('work');
    await world.clock.advance(0);
    world.backend.onReconcile = () => Promise.reject(new Error('no answer'));
    world.backend.connection.observer.failed(true, lost);
    await world.clock.advance(10_000);
    world.backend.onReconcile = () => Promise.resolve();
    await world.clock.advance(30_000);
    world.backend.turn.complete('after all');
    await world.clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'after all' });
    expect(world.backend.lives).toHaveLength(1);
  });

  it('does not listen to a connection that was replaced', async () => {
    const world = await openWorld();
    const [old] = world.backend.connections;
    old?.observer.failed(true, lost);
    await world.clock.advance(1_000);
    const told = stream(world).length;
    old?.observer.failed(false, lost);
    old?.observer.ended(true);
    old?.observer.opened();
    await world.clock.advance(20_000);
    expect([world.backend.connections.length, stream(world).length]).toEqual([2, told]);
  });

  it('of one directory is another one when the session moves, and the old one is closed', async () => {
    const world = await openWorld({ backend: { stream: { scope: 'directory' }, health: { enabled: false } } });
    await world.supervisor.openSession({ backend: 'code', directory: '/elsewhere', chatId: 'first' });
    await world.clock.advance(0);
    expect(world.backend.connections.map(({ target, isClosed }) => [target.directory, isClosed])).toEqual([
      [directory, true],
      ['/elsewhere', false],
    ]);
  });

  it('takes a clean end for no failure: it reconnects after the base delay, as often as it takes', async () => {
    const world = await openWorld();
    world.backend.onConnect = (connection) => {
      connection.open();
      connection.observer.ended(true);
    };
    world.backend.connection.observer.ended(true);
    const attempts = await attemptsWithin(world, 50_000);
    expect(attempts).toEqual(Array.from({ length: 50 }, (_, index) => (index + 1) * 1_000));
  });

  it('takes a clean end before the first event for a failure', async () => {
    const world = await openWorld();
    world.backend.onConnect = (connection) => {
      connection.observer.connected();
      connection.observer.ended(false);
    };
    world.backend.connection.observer.ended(true);
    await world.clock.advance(3_600_000);
    expect(stream(world).at(-1)).toBe('code/stream-0 recovering → failed');
  });

  it('waits ten seconds for the response, and ten for the first event', async () => {
    const world = await openWorld();
    world.backend.onConnect = () => undefined;
    world.backend.connection.observer.failed(true, lost);
    await world.clock.advance(1_000 + 9_999);
    const silent = world.backend.connection;
    expect(silent.isClosed).toBe(false);
    await world.clock.advance(1);
    expect(silent.isClosed).toBe(true);
    await world.clock.advance(2_000);
    const mute = world.backend.connection;
    mute.observer.connected();
    await world.clock.advance(10_000);
    expect(mute.isClosed).toBe(true);
  });

  it('notices silence: it is stalled after 25 seconds, or 2.5 learned heartbeats, and is replaced a second later', async () => {
    const world = await openWorld();
    const [first] = world.backend.connections;
    await world.clock.advance(24_999);
    expect(stream(world).at(-1)).toBe('code/stream-0 starting → healthy');
    await world.clock.advance(1);
    expect(stream(world).at(-1)).toBe('code/stream-0 healthy → unhealthy');
    await world.clock.advance(1_000);
    expect(first?.isClosed).toBe(true);
    expect(world.events.transition.at(-1)?.reason).toContain('ERR_STREAM_STALLED');
    await world.clock.advance(1_000);
    const second = world.backend.connection;
    second.heartbeat = 20_000;
    await world.clock.advance(49_000);
    expect(second.isClosed).toBe(false);
    await world.clock.advance(3_000);
    expect(second.isClosed).toBe(true);
  });

  it('is healthy again when events come before the second is over, and re-arms nothing for each event', async () => {
    const world = await openWorld({ backend: { stream: { stallMs: 5_000 }, health: { enabled: false } } });
    await world.clock.advance(5_500);
    world.backend.connection.seenAt = world.clock.now();
    await world.clock.advance(250);
    expect(stream(world).slice(2)).toEqual(['code/stream-0 healthy → unhealthy', 'code/stream-0 unhealthy → healthy']);
    const timers = world.clock.pending.length;
    for (let count = 0; count < 1_000; count += 1) world.backend.connection.seenAt = world.clock.now();
    expect(world.clock.pending).toHaveLength(timers);
    expect(world.backend.connections).toHaveLength(1);
  });

  it('ends quietly with its server, and the next life starts it with a fresh budget', async () => {
    const world = await openWorld();
    world.backend.onLaunch = () => undefined;
    world.backend.connection.observer.failed(true, lost);
    world.backend.life.end();
    await world.clock.advance(20_000);
    expect([world.backend.connections.length, stream(world).at(-1)]).toEqual([1, 'code/stream-0 recovering → idle']);
    world.backend.life.up();
    await world.clock.advance(0);
    expect([world.backend.connections.length, stream(world).at(-1)]).toEqual([2, 'code/stream-0 starting → healthy']);
  });

  it('ends while it waits, at once: nothing lingers until the delay is over', async () => {
    const world = await openWorld();
    world.backend.onConnect = refuse;
    world.backend.connection.observer.failed(false, lost);
    await world.clock.advance(10_000);
    const stopping = world.supervisor.stop();
    await world.clock.advance(0);
    await stopping;
    expect(world.clock.pending).toEqual([]);
  });

  it('fails each running turn when it gives up, leaves the idle sessions alone, and a prompt starts one fresh cycle', async () => {
    const world = await openWorld();
    const idle = await world.supervisor.openSession({ backend: 'code', directory, chatId: 'second' });
    const turn = world.session.prompt('work');
    await world.clock.advance(0);
    world.backend.onConnect = refuse;
    world.backend.connection.observer.failed(false, lost);
    await world.clock.advance(100_000);
    expect(await turn.result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_STREAM_FAILED', retryable: true },
    });
    const before = world.backend.connections.length;
    const next = idle.prompt('again');
    expect(await attemptsWithin(world, 3_600_000)).toHaveLength(7);
    expect(world.backend.connections.length - before).toBe(7);
    expect(await next.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_STREAM_FAILED' } });
    world.backend.onConnect = (connection) => connection.open();
    world.backend.onTurn = (running) => (running.onSend = () => running.complete('well'));
    const last = idle.prompt('once more');
    await world.clock.advance(1_000);
    expect(await last.result).toMatchObject({ outcome: 'completed', text: 'well' });
  });

  it('asks about running turns every half minute, in case their end was never told', async () => {
    const world = await openWorld();
    const turn = world.session.prompt('work');
    await world.clock.advance(0);
    world.backend.turn.fact({ kind: 'working' }, { kind: 'step-began' });
    world.backend.onReconcile = ([running]) => {
      running?.fact({ kind: 'step-ended', last: true, stopReason: 'end_turn' });
      running?.fact({ kind: 'reconciled', place: 'present', working: false, otherLife: false, overdue: false });
      return Promise.resolve();
    };
    for (let count = 0; count < 6; count += 1) {
      await world.clock.advance(5_000);
      world.backend.connection.seenAt = world.clock.now();
    }
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
  });
});
