import { describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const status = ({ supervisor }: FakeWorld) => supervisor.status().backends['code'];

async function start(world: FakeWorld, ms: number) {
  const starting = world.supervisor.backend('code').start();
  await world.clock.advance(ms);
  return starting;
}

describe('a configuration that is to be gone back to', () => {
  const provenAfterMs = 60_000;
  const proven = ({ backend }: FakeWorld) => backend.recovery.calls.filter((call) => call === 'proven').length;

  it('is one that has worked for a while without a failed check', async () => {
    const world = fakeWorld({ backend: { recovery: { provenAfterMs } } });
    await start(world, 0);
    await world.clock.advance(provenAfterMs - 1);
    expect(proven(world)).toBe(0);
    await world.clock.advance(1);
    expect(proven(world)).toBe(1);
    await world.clock.advance(10 * provenAfterMs);
    expect(proven(world)).toBe(1);
  });

  it('is not one that fails checks: the time begins anew', async () => {
    const world = fakeWorld({ backend: { recovery: { provenAfterMs } } });
    await start(world, 45_000);
    world.backend.onProbe = () => Promise.reject(new Error('no answer'));
    await world.clock.advance(6_000);
    expect(status(world)?.state).toBe('unhealthy');
    world.backend.onProbe = () => Promise.resolve();
    await world.clock.advance(provenAfterMs);
    expect(proven(world)).toBe(0);
    await world.clock.advance(10_000);
    expect(proven(world)).toBe(1);
  });

  it('that cannot be kept is a warning, and nothing else', async () => {
    const world = fakeWorld({ backend: { recovery: { provenAfterMs } } });
    world.backend.recovery.onProven = () => Promise.reject(new Error('the disk is full'));
    await start(world, provenAfterMs);
    expect(world.events.warning).toMatchObject([{ code: 'ERR_STORE', backend: 'code' }]);
    expect(world.events.warning[0]?.message).toContain('the disk is full');
    expect(status(world)?.state).toBe('healthy');
  });
});

describe('turns through a recovery', () => {
  it('are told when they were cut off, and can be continued: the session goes on', async () => {
    const world = fakeWorld();
    const session = await world.supervisor.openSession({ backend: 'code', directory: '/project', chatId: 'one' });
    const turn = session.prompt('work');
    await world.clock.advance(0);
    world.backend.turn.fact({ kind: 'working' }, { kind: 'step-began' });
    world.backend.onReconcile = (turns) => {
      for (const each of turns)
        each.fact({ kind: 'reconciled', place: 'present', working: false, otherLife: true, overdue: false });
      return Promise.resolve();
    };
    const restarted = world.supervisor.backend('code').restart();
    await world.clock.advance(0);
    expect([(await restarted).state, (await turn.result).outcome]).toEqual(['healthy', 'indeterminate']);
    expect(world.events.session.at(-1)).toEqual({
      type: 'interrupted',
      sessionId: session.id,
      chatId: 'one',
      backend: 'code',
      turnId: turn.id,
    });
    const next = session.prompt('continue');
    await settled();
    world.backend.turn.complete('went on');
    expect(await next.result).toMatchObject({ outcome: 'completed', text: 'went on' });
  });

  it('are given up where the server says again and again that nobody works on them: it has forgotten them', async () => {
    const world = fakeWorld();
    const session = await world.supervisor.openSession({ backend: 'code', directory: '/project' });
    const turn = session.prompt('work');
    await world.clock.advance(0);
    world.backend.turn.fact({ kind: 'working' }, { kind: 'step-began' });
    const idle = { kind: 'reconciled', place: 'present', working: false, otherLife: false, overdue: false } as const;
    let isOver = false;
    void turn.result.then(() => (isOver = true));
    world.backend.turn.fact(idle);
    await world.clock.advance(9_999);
    world.backend.turn.fact(idle);
    world.backend.turn.fact({ kind: 'working' }); // It was only slow to say so.
    await world.clock.advance(20_000);
    world.backend.turn.fact(idle);
    await world.clock.advance(9_000);
    expect(isOver).toBe(false);
    await world.clock.advance(1_000);
    world.backend.turn.fact(idle);
    expect((await turn.result).outcome).toBe('indeterminate');
  });
});
