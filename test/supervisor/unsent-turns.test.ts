import { describe, expect, it } from 'vitest';
import type { DispatchOutcome } from '../../actors/ports.ts';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const directory = '/project';

/** A turn whose prompt is on its way, and the answer in the test's hand. */
async function sendingWorld() {
  const world = fakeWorld();
  const session = await world.supervisor.openSession({ backend: 'code', directory });
  let answer!: (outcome: DispatchOutcome) => void;
  world.backend.onTurn = (turn) => {
    turn.outcome = new Promise((resolve) => (answer = resolve));
  };
  const turn = session.prompt('work');
  await world.clock.advance(0);
  return { ...world, session, turn, answer, agent: world.backend.turn };
}

describe('a prompt that is on its way', () => {
  it('is given up by a cancel where it was not sent yet', async () => {
    const { agent, turn, answer } = await sendingWorld();
    agent.onWithdraw = () => answer({ kind: 'refused', failure: { code: 'ERR_INTERNAL', message: 'not sent' } });
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(agent.calls).toEqual(['send', 'withdraw']);
  });

  it('is cancelled in bounded time also where nobody ever answers', async () => {
    const { turn, clock, agent } = await sendingWorld();
    void turn.cancel();
    await clock.advance(5_000);
    expect(agent.calls).toContain('cancel');
    await clock.advance(15_000);
    expect(await turn.result).toMatchObject({ outcome: 'cancelled', error: { code: 'ERR_CANCEL_TIMEOUT' } });
  });

  it('settles its turn where it is accepted after the backend was stopped', async () => {
    const { supervisor, turn, answer } = await sendingWorld();
    await supervisor.backend('code').stop();
    answer({ kind: 'accepted' });
    await settled();
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate' });
  });

  it('is what was checked, whatever the host makes of its blocks meanwhile', async () => {
    const { backend, session, answer, agent, clock } = await sendingWorld();
    const block = { type: 'text' as const, text: 'checked' };
    session.prompt([block]);
    block.text = '';
    answer({ kind: 'accepted' });
    agent.complete();
    await clock.advance(0);
    expect(backend.turn.text).toBe('checked');
  });
});
