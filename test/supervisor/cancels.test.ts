import { describe, expect, it } from 'vitest';
import type { FakeTurn } from '../fixtures/fake-session.ts';
import type { DispatchOutcome } from '../../actors/ports.ts';

import { found, openWorld, runningWorld } from '../fixtures/running-turn.ts';

describe('a cancel', () => {
  it('is repeated every 250 ms until the agent is quiet, and the turn is cancelled whatever the agent says', async () => {
    const { turn, agent, clock } = await runningWorld();
    const cancelled = turn.cancel();
    await clock.advance(1_000);
    expect(agent.calls.filter((call) => call === 'cancel')).toHaveLength(5);
    agent.fact({ kind: 'step-ended', last: true, stopReason: 'end_turn' }, { kind: 'quiet' });
    await cancelled;
    expect(await turn.result).toMatchObject({ outcome: 'cancelled', stopReason: 'cancelled' });
    await clock.advance(10_000);
    expect(agent.calls.filter((call) => call === 'cancel')).toHaveLength(5);
  });

  it('is sent again at the first sign of work: an agent that was still starting did not hear it', async () => {
    const { session, backend, clock } = await openWorld();
    const turn = session.prompt('work');
    await clock.advance(0);
    void turn.cancel();
    await clock.advance(100);
    expect(backend.turn.calls).toEqual(['send', 'cancel']);
    backend.turn.fact({ kind: 'working' });
    await clock.advance(0);
    expect(backend.turn.calls).toEqual(['send', 'cancel', 'cancel']);
  });

  it('has a time limit: the turn settles, the agent is retired, and the next turn runs', async () => {
    const { session, turn, backend, clock } = await runningWorld();
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ working: true })));
    const next = session.prompt('next');
    void turn.cancel();
    await clock.advance(15_000);
    expect(await turn.result).toMatchObject({ outcome: 'cancelled', error: { code: 'ERR_CANCEL_TIMEOUT' } });
    expect(backend.calls).toContain('retire agent-session-1');
    await clock.advance(0);
    backend.turn.complete('fine');
    expect(await next.result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('settles a queued turn unsent, and the turns around it run', async () => {
    const { session, backend, clock } = await openWorld();
    const [one, two, three] = [session.prompt('one'), session.prompt('two'), session.prompt('three')];
    await two.cancel();
    expect(await two.result).toMatchObject({ outcome: 'cancelled' });
    await clock.advance(0);
    backend.turn.complete('1');
    await clock.advance(0);
    backend.turn.complete('3');
    expect([(await one.result).text, (await three.result).text]).toEqual(['1', '3']);
    expect(backend.turns.map(({ text }) => text)).toEqual(['one', 'three']);
  });

  it('of a session ends the running turn and all queued ones', async () => {
    const { session, backend, clock } = await openWorld();
    const turns = ['one', 'two'].map((text) => session.prompt(text));
    await clock.advance(0);
    const cancelled = session.cancel();
    await clock.advance(0);
    backend.turn.fact({ kind: 'working' }, { kind: 'quiet' });
    await cancelled;
    expect(await Promise.all(turns.map(async (turn) => (await turn.result).outcome))).toEqual([
      'cancelled',
      'cancelled',
    ]);
    expect(backend.turns).toHaveLength(1);
  });

  it('by a signal that is aborted already sends nothing', async () => {
    const { session, backend, clock } = await openWorld();
    const turn = session.prompt('work', { signal: AbortSignal.abort() });
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(backend.turns.flatMap(({ calls }) => calls)).toEqual([]);
  });

  it('by a signal leaves no listener behind', async () => {
    const { session, backend, clock } = await openWorld();
    const controller = new AbortController();
    const turn = session.prompt('work', { signal: controller.signal });
    await clock.advance(0);
    backend.turn.complete();
    await turn.result;
    controller.abort();
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('between the sending and the acceptance waits for the answer', async () => {
    const { session, backend, clock } = await openWorld();
    let accept!: (outcome: DispatchOutcome) => void;
    backend.onTurn = (turn: FakeTurn) => {
      turn.outcome = new Promise((resolve) => (accept = resolve));
    };
    const turn = session.prompt('work');
    await clock.advance(0);
    void turn.cancel();
    await clock.advance(1_000);
    expect(backend.turn.calls).toEqual(['send', 'withdraw']);
    accept({ kind: 'refused', failure: { code: 'ERR_PROTOCOL', message: 'no' } });
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
  });

  it('of a turn whose server died settles at once', async () => {
    const { turn, backend, clock } = await runningWorld();
    backend.onLaunch = () => undefined;
    backend.life.end();
    await clock.advance(0);
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
  });
});

describe('the clocks of a turn', () => {
  it('end a turn that shows no activity, and cancel its work', async () => {
    const { turn, agent, clock } = await runningWorld({ supervisor: { turn: { inactivityTimeoutMs: 10_000 } } });
    await clock.advance(9_000);
    agent.say('still');
    await clock.advance(9_999);
    expect(agent.calls).toEqual(['send']);
    await clock.advance(1);
    expect(agent.calls).toEqual(['send', 'cancel']);
    agent.fact({ kind: 'aborted' }, { kind: 'quiet' });
    expect(await turn.result).toMatchObject({ outcome: 'failed', text: 'still', error: { code: 'ERR_TURN_INACTIVE' } });
  });

  it('end a turn at its deadline, however active it is', async () => {
    const { turn, agent, clock } = await runningWorld({ supervisor: { turn: { deadlineMs: 60_000 } } });
    for (let count = 0; count < 60; count += 1) {
      agent.say('.');
      await clock.advance(1_000);
    }
    agent.fact({ kind: 'aborted' }, { kind: 'quiet' });
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_TURN_DEADLINE' } });
  });

  it('are those of the supervisor where a prompt names them and gives nothing', async () => {
    const { session, backend, clock } = await openWorld();
    const turn = session.prompt('work', { deadlineMs: undefined, inactivityTimeoutMs: undefined } as never);
    await clock.advance(60_000);
    backend.turn.complete('fine');
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('can be set for one prompt', async () => {
    const { session, backend, clock } = await openWorld();
    const turn = session.prompt('work', { deadlineMs: 1_000 });
    await clock.advance(0);
    backend.turn.fact({ kind: 'working' });
    await clock.advance(1_000);
    backend.turn.fact({ kind: 'quiet' });
    expect(await turn.result).toMatchObject({ error: { code: 'ERR_TURN_DEADLINE' } });
  });

  it('run while the backend starts: a prompt does not wait for ever', async () => {
    const { session, backend, clock } = await openWorld({
      backend: { restart: { maxRestarts: 1_000 }, health: { enabled: false } },
    });
    backend.onLaunch = () => undefined;
    backend.life.end();
    await clock.advance(0);
    const turn = session.prompt('work', { deadlineMs: 5_000 });
    await clock.advance(5_000);
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_TURN_DEADLINE' } });
  });
});
