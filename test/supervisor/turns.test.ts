import { describe, expect, it } from 'vitest';

import { directory, openWorld, runningWorld, found, isSettled, all } from '../fixtures/running-turn.ts';

describe('the settlement of a turn', () => {
  it('is completed by a complete answer and quiet after its own work, and by nothing less', async () => {
    const { turn, agent, clock } = await runningWorld();
    agent.say('Hello');
    agent.fact({ kind: 'step-ended', last: false, stopReason: 'tool-calls' });
    await clock.advance(0);
    expect(await isSettled(turn)).toBe(false);
    agent.fact({ kind: 'step-began' }, { kind: 'step-ended', last: true, stopReason: 'end_turn' });
    await clock.advance(0);
    expect(await isSettled(turn)).toBe(false);
    agent.fact({ kind: 'quiet' });
    expect(await turn.result).toEqual({ outcome: 'completed', stopReason: 'end_turn', text: 'Hello' });
  });

  it('takes no idle for an end that comes before its own work: it is an echo of the turn before', async () => {
    const { session, backend, clock } = await openWorld();
    const turn = session.prompt('work');
    await clock.advance(0);
    backend.turn.fact({ kind: 'quiet' }, { kind: 'quiet' });
    await clock.advance(0);
    expect(await isSettled(turn)).toBe(false);
    backend.turn.complete('real');
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'real' });
  });

  it('fails with the error of its own message', async () => {
    const { turn, agent } = await runningWorld();
    agent.fact(
      { kind: 'errored', failure: { code: 'ERR_TURN_FAILED', message: 'APIError: 401', retryable: false } },
      { kind: 'quiet' },
    );
    expect(await turn.result).toEqual({
      outcome: 'failed',
      text: '',
      error: { code: 'ERR_TURN_FAILED', message: 'APIError: 401', retryable: false },
    });
  });

  it('is told to the host exactly once, whatever comes after', async () => {
    const { turn, agent, events } = await runningWorld();
    agent.complete();
    agent.fact({ kind: 'errored', failure: { code: 'ERR_TURN_FAILED', message: 'late' } }, { kind: 'quiet' });
    await turn.cancel();
    expect(events.turn.filter(({ type }) => type === 'settled')).toHaveLength(1);
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('asks the server when the session is quiet without any proof, and says so when there is none', async () => {
    const { turn, agent, backend, clock } = await runningWorld();
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ otherLife: true })));
    agent.fact({ kind: 'quiet' });
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate', error: { code: 'ERR_BACKEND_EXITED' } });
  });

  it('goes on when the server says that it is idle while the answer has begun and has no end: that was of an older one', async () => {
    const { turn, agent, backend, clock } = await runningWorld();
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({})));
    agent.fact({ kind: 'quiet' });
    await clock.advance(1_000);
    expect(await isSettled(turn)).toBe(false);
    agent.fact({ kind: 'working' }, { kind: 'step-ended', last: true, stopReason: 'end_turn' }, { kind: 'quiet' });
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('is cancelled for as long as its answer has no end, whatever idle the server tells', async () => {
    const { turn, agent, clock } = await runningWorld();
    void turn.cancel();
    await clock.advance(0);
    agent.fact({ kind: 'quiet' });
    await clock.advance(600);
    expect([await isSettled(turn), agent.calls.filter((call) => call === 'cancel').length]).toEqual([false, 3]);
    agent.fact({ kind: 'aborted' }, { kind: 'quiet' });
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
  });

  it('is cancelled, too, where the server is idle for so long that the answer will get no end', async () => {
    const { turn, agent, clock } = await runningWorld();
    void turn.cancel();
    agent.fact({ kind: 'quiet' });
    await clock.advance(15_000 / 8 - 1);
    expect(await isSettled(turn)).toBe(false);
    await clock.advance(1);
    const result = await turn.result;
    expect([result.outcome, result.error]).toEqual(['cancelled', undefined]);
  });

  it('is completed as rejected where a rejection of ours ended the work', async () => {
    const { turn, agent } = await runningWorld();
    agent.fact({ kind: 'step-ended', last: false }, { kind: 'rejected' }, { kind: 'quiet' });
    expect(await turn.result).toMatchObject({ outcome: 'completed', stopReason: 'rejected' });
  });

  it('fails where the server refuses the prompt', async () => {
    const { session, backend, clock } = await openWorld();
    backend.onTurn = (turn) => {
      turn.outcome = { kind: 'refused', failure: { code: 'ERR_SESSION_NOT_FOUND', message: 'gone' } };
    };
    const turn = session.prompt('work');
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_SESSION_NOT_FOUND' } });
  });
});

describe('a server that dies under a turn', () => {
  it('never runs an accepted prompt again: it is indeterminate once the next life says that nothing works on it', async () => {
    const { turn, agent, backend, clock } = await runningWorld();
    agent.say('half of');
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ otherLife: true })));
    backend.life.end();
    await clock.advance(5_000);
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate', text: 'half of' });
    expect(agent.calls).toEqual(['send']);
  });

  it('sends a prompt again, with the same id, that the server never accepted', async () => {
    const { session, backend, clock } = await openWorld();
    backend.onTurn = (turn) => {
      turn.outcome = { kind: 'unknown', failure: { code: 'ERR_BACKEND_EXITED', message: 'reset' } };
    };
    const turn = session.prompt('work');
    await clock.advance(0);
    const agent = backend.turn;
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ place: 'absent', otherLife: true })));
    agent.outcome = { kind: 'accepted' };
    backend.life.end();
    await clock.advance(5_000);
    expect([agent.calls, backend.turns]).toEqual([['send', 'send'], [agent]]);
    agent.complete('at last');
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'at last' });
  });

  it('sends a prompt again whose content was lost, but not one that was seen to run', async () => {
    const { turn, agent, backend, clock } = await runningWorld();
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ place: 'torn', otherLife: true })));
    backend.life.end();
    await clock.advance(5_000);
    expect(agent.calls).toEqual(['send']);
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate' });
  });

  it('gives up on a prompt that is lost again and again', async () => {
    const { session, backend, clock } = await openWorld();
    backend.onTurn = (turn) => {
      turn.outcome = { kind: 'unknown', failure: { code: 'ERR_BACKEND_EXITED', message: 'reset' } };
    };
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ place: 'absent', otherLife: true })));
    const turn = session.prompt('work');
    await clock.advance(60_000);
    expect(backend.turn.calls).toHaveLength(5);
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_BACKEND_EXITED' } });
  });

  it('settles at once when the server is given up', async () => {
    const { turn, backend, clock } = await runningWorld({
      backend: { restart: { maxRestarts: 0 }, health: { enabled: false } },
    });
    backend.life.end();
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate', error: { code: 'ERR_RESTART_LIMIT' } });
  });

  it('goes on where the connection was lost and the agent was not', async () => {
    const { turn, agent, backend, clock } = await runningWorld();
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ working: true })));
    backend.connection.observer.failed(true, { code: 'ERR_STREAM_FAILED', message: 'reset' });
    await clock.advance(2_000);
    expect(await isSettled(turn)).toBe(false);
    agent.complete('still here');
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'still here' });
  });

  it('tells the readers of a turn what happens to its server', async () => {
    const { turn, backend, clock } = await runningWorld();
    backend.onReconcile = ([running]) => Promise.resolve(running?.fact(found({ otherLife: true })));
    backend.life.end();
    await clock.advance(5_000);
    const states = (await all(turn)).filter((event) => event.type === 'backend').map((event) => event.state);
    expect(states).toEqual(['recovering', 'healthy']);
  });
});

describe('the line of a session', () => {
  it('runs turns one at a time, in call order, and starts the next when the one before is quiet', async () => {
    const { session, backend, clock } = await openWorld();
    const turns = ['one', 'two', 'three'].map((text) => session.prompt(text));
    await clock.advance(0);
    expect(backend.turns.map(({ text }) => text)).toEqual(['one']);
    expect(session.status()).toMatchObject({ queued: 2, running: turns[0]?.id });
    backend.turn.complete('1');
    await clock.advance(0);
    backend.turn.complete('2');
    await clock.advance(0);
    backend.turn.complete('3');
    expect(await Promise.all(turns.map(async (turn) => (await turn.result).text))).toEqual(['1', '2', '3']);
    expect(session.status()).not.toHaveProperty('running');
  });

  it('is bounded: one turn too many settles at once and disturbs no other', async () => {
    const { session, backend, clock } = await openWorld({ supervisor: { turn: { maxQueued: 2 } } });
    const turns = ['one', 'two', 'three', 'four'].map((text) => session.prompt(text));
    expect(await turns[3]?.result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_QUEUE_FULL', retryable: true },
    });
    for (let count = 0; count < 3; count += 1) {
      await clock.advance(0);
      backend.turn.complete();
    }
    await clock.advance(0);
    expect(await Promise.all(turns.slice(0, 3).map(async (turn) => (await turn.result).outcome))).toEqual([
      'completed',
      'completed',
      'completed',
    ]);
  });

  it('keeps two sessions apart', async () => {
    const { supervisor, session, backend, clock } = await openWorld();
    const other = await supervisor.openSession({ backend: 'code', directory });
    const [a, b] = [session.prompt('a'), other.prompt('b')];
    await clock.advance(0);
    const [first, second] = backend.turns;
    second?.complete('B');
    first?.complete('A');
    expect([(await a.result).text, (await b.result).text]).toEqual(['A', 'B']);
  });

  it('runs two hundred turns of as many sessions at once', async () => {
    const { supervisor, backend, clock } = await openWorld();
    const sessions = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        supervisor.openSession({ backend: 'code', directory, chatId: `c${index}` }),
      ),
    );
    const turns = sessions.map((session, index) => session.prompt(`prompt ${index}`));
    await clock.advance(0);
    for (const agent of backend.turns) agent.complete(`answer to ${agent.text}`);
    const texts = await Promise.all(turns.map(async (turn) => (await turn.result).text));
    expect(texts).toEqual(sessions.map((_, index) => `answer to prompt ${index}`));
  });

  it('makes quiet what an abandoned turn left working, before the next prompt is sent', async () => {
    const { session, turn, backend, clock } = await runningWorld();
    const lost = { code: 'ERR_STREAM_FAILED', message: 'reset' };
    backend.onConnect = (connection) => connection.observer.failed(false, lost);
    backend.connection.observer.failed(false, lost);
    await clock.advance(100_000);
    expect(await turn.result).toMatchObject({ outcome: 'failed' });
    backend.onConnect = (connection) => connection.open();
    const stuck = backend.sessions[0];
    let quiet!: () => void;
    if (stuck) stuck.onQuiet = () => new Promise((resolve) => (quiet = resolve));
    const withdrawn = session.prompt('withdrawn');
    await clock.advance(0);
    await withdrawn.cancel();
    expect([stuck?.calls, backend.turn.calls]).toEqual([['quiet'], []]);
    session.prompt('next');
    await clock.advance(0);
    quiet();
    await clock.advance(0);
    expect(stuck?.calls).toEqual(['quiet', 'quiet']);
    expect(backend.turn.calls).toEqual(['send']);
  });
});
