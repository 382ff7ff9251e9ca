import { describe, expect, it, vi } from 'vitest';
import type { AgentEvent, PermissionDecision, QuestionAnswer, SupervisorOptions } from '../../index.ts';
import type { DecisionAsk } from '../../actors/ports.ts';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const permission = (id = 'per_1'): DecisionAsk => ({
  type: 'permission',
  id,
  title: 'bash · rm -rf /',
  permission: 'bash',
  patterns: ['rm -rf /'],
  options: ['allow_once', 'allow_always', 'reject_once'],
});
const question: DecisionAsk = {
  type: 'question',
  id: 'que_1',
  questions: [{ question: 'Which?', options: [{ label: 'A' }, { label: 'B' }] }],
};

async function askingWorld(ask: DecisionAsk, options: Omit<SupervisorOptions, 'backends'> = {}) {
  const world = fakeWorld({
    backend: { health: { enabled: false }, stream: { stallMs: 86_400_000 } },
    supervisor: options,
  });
  const session = await world.supervisor.openSession({ backend: 'code', directory: '/project', chatId: 'chat-1' });
  const turn = session.prompt('work');
  await world.clock.advance(0);
  const agent = world.backend.turn;
  agent.fact({ kind: 'working' }, { kind: 'step-began' });
  agent.sink.ask(ask);
  await world.clock.advance(0);
  return { ...world, session, turn, agent };
}

describe('what an agent asks', () => {
  it('is rejected where the host has no handler: nothing is ever allowed because nobody answered', async () => {
    expect((await askingWorld(permission())).agent.answers).toEqual([['per_1', { outcome: 'reject_once' }]]);
    expect((await askingWorld(question)).agent.answers).toEqual([['que_1', { action: 'decline' }]]);
  });

  it('reaches the handler with everything that a person needs, and the answer reaches the agent', async () => {
    const onPermission = vi.fn(() => ({ outcome: 'allow_once' }) as const);
    const { agent, turn } = await askingWorld(permission(), { onPermission });
    expect(onPermission).toHaveBeenCalledWith(
      {
        type: 'permission',
        id: `${turn.id}:per_1`,
        sessionId: 'session-1',
        chatId: 'chat-1',
        turnId: turn.id,
        directory: '/project',
        backend: 'code',
        expiresAt: expect.any(String) as string,
        title: 'bash · rm -rf /',
        permission: 'bash',
        patterns: ['rm -rf /'],
        options: ['allow_once', 'allow_always', 'reject_once'],
      },
      { signal: expect.any(AbortSignal) as AbortSignal },
    );
    expect(agent.answers).toEqual([['per_1', { outcome: 'allow_once' }]]);
  });

  it('reaches the handler of its session before that of the supervisor', async () => {
    const world = fakeWorld({ supervisor: { onPermission: () => ({ outcome: 'reject_once' }) } });
    const options = {
      backend: 'code',
      directory: '/project',
      onPermission: () => ({ outcome: 'allow_always' }) as const,
    } as const;
    const session = await world.supervisor.openSession(options);
    session.prompt('work');
    await world.clock.advance(0);
    world.backend.turn.sink.ask(permission());
    await world.clock.advance(0);
    expect(world.backend.turn.answers).toEqual([['per_1', { outcome: 'allow_always' }]]);
  });

  it.each<[string, () => PermissionDecision]>([
    ['throws', () => expect.fail('the handler is broken')],
    ['answers with what is no answer', () => ({ outcome: 'sure' }) as never],
    ['answers with nothing at all', () => null as never],
  ])('is rejected when the handler %s, and the host is told of the fault', async (_, onPermission) => {
    const { agent, logged, events } = await askingWorld(permission(), { onPermission });
    expect(events.warning.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^The permission handler failed: .*The request is rejected\.$/s),
    ]);
    expect(agent.answers).toEqual([['per_1', { outcome: 'reject_once' }]]);
    expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('is rejected when the handler rejects its promise', async () => {
    const { agent } = await askingWorld(question, { onQuestion: () => Promise.reject(new Error('offline')) });
    expect(agent.answers).toEqual([['que_1', { action: 'decline' }]]);
  });

  it('is rejected when nobody answers within the time limit, and the handler is told by its signal', async () => {
    let handlerSignal!: AbortSignal;
    const onPermission = (_: unknown, { signal }: { signal: AbortSignal }) => {
      handlerSignal = signal;
      return new Promise<never>(() => undefined);
    };
    const world = await askingWorld(permission(), { onPermission, turn: { decisionTimeoutMs: 5_000 } });
    await world.clock.advance(4_999);
    expect(world.agent.answers).toEqual([]);
    await world.clock.advance(1);
    expect(world.agent.answers).toEqual([['per_1', { outcome: 'reject_once' }]]);
    expect(handlerSignal.aborted).toBe(true);
    expect(world.events.decision.map(({ type }) => type)).toEqual(['asked', 'expired']);
  });

  it('waits for decide() where the handler leaves it open, and is decided once', async () => {
    const { supervisor, agent, turn, events } = await askingWorld(permission(), { onPermission: () => undefined });
    const [pending] = supervisor.pendingDecisions();
    expect(pending?.id).toBe(`${turn.id}:per_1`);
    expect(supervisor.decide(`${turn.id}:per_1`, { outcome: 'allow_once' })).toBe(true);
    expect(supervisor.decide(`${turn.id}:per_1`, { outcome: 'reject_once' })).toBe(false);
    expect(supervisor.decide('unknown', { outcome: 'reject_once' })).toBe(false);
    expect([agent.answers, supervisor.pendingDecisions()]).toEqual([[['per_1', { outcome: 'allow_once' }]], []]);
    await settled();
    expect(events.decision.map(({ type }) => type)).toEqual(['asked', 'decided']);
  });

  it('can be decided by a listener, in the moment in which it is asked, and the clocks run on', async () => {
    const world = fakeWorld({ supervisor: { onPermission: () => undefined, turn: { inactivityTimeoutMs: 5_000 } } });
    world.supervisor.on('decision', ({ type, request }) => {
      if (type === 'asked') world.supervisor.decide(request.id, { outcome: 'allow_once' });
    });
    const session = await world.supervisor.openSession({ backend: 'code', directory: '/project' });
    const turn = session.prompt('work');
    await world.clock.advance(0);
    world.backend.turn.fact({ kind: 'working' });
    world.backend.turn.sink.ask(permission());
    await world.clock.advance(6_000);
    world.backend.turn.fact({ kind: 'quiet' });
    expect(await turn.result).toMatchObject({ error: { code: 'ERR_TURN_INACTIVE' } });
  });

  it('does not take a decision that does not fit the request', async () => {
    const { supervisor, turn, agent } = await askingWorld(question, { onQuestion: () => undefined });
    const wrong: (PermissionDecision | QuestionAnswer)[] = [
      { outcome: 'allow_once' },
      { action: 'accept', answers: [] },
    ];
    for (const answer of wrong) {
      expect(() => supervisor.decide(`${turn.id}:que_1`, answer)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
      );
    }
    expect(supervisor.decide(`${turn.id}:que_1`, { action: 'accept', answers: [['B']] })).toBe(true);
    expect(agent.answers).toEqual([['que_1', { action: 'accept', answers: [['B']] }]]);
  });

  it('stops the clocks of the turn while a person decides', async () => {
    const world = await askingWorld(permission(), {
      onPermission: () => undefined,
      turn: { deadlineMs: 60_000, inactivityTimeoutMs: 10_000, decisionTimeoutMs: 3_600_000 },
    });
    await world.clock.advance(1_800_000);
    world.supervisor.decide(`${world.turn.id}:per_1`, { outcome: 'allow_once' });
    await world.clock.advance(9_000);
    world.agent.say('.');
    await world.clock.advance(9_000);
    world.agent.complete('allowed');
    expect(await world.turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('counts the time before and after a decision against the deadline', async () => {
    const world = await askingWorld(permission(), { onPermission: () => undefined, turn: { deadlineMs: 60_000 } });
    await world.clock.advance(100_000);
    world.supervisor.decide(`${world.turn.id}:per_1`, { outcome: 'allow_once' });
    await world.clock.advance(59_000);
    world.agent.say('.');
    await world.clock.advance(1_001);
    world.agent.fact({ kind: 'aborted' }, { kind: 'quiet' });
    expect(await world.turn.result).toMatchObject({ error: { code: 'ERR_TURN_DEADLINE' } });
  });

  it('is not asked twice: the same request after a reconnect is the same request', async () => {
    const world = await askingWorld(permission(), { onPermission: () => undefined });
    world.agent.sink.ask(permission());
    await world.clock.advance(0);
    expect([world.supervisor.pendingDecisions().length, world.events.decision.length]).toEqual([1, 1]);
  });

  it('is withdrawn when it was answered elsewhere: nothing is sent, and the turn goes on', async () => {
    const world = await askingWorld(permission(), { onPermission: () => undefined });
    world.agent.sink.retract('per_1');
    await world.clock.advance(0);
    expect([world.supervisor.pendingDecisions(), world.agent.answers]).toEqual([[], []]);
    world.agent.complete('went on');
    expect(await world.turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('is answered `cancelled` when the turn is cancelled', async () => {
    const world = await askingWorld(permission(), { onPermission: () => undefined });
    void world.turn.cancel();
    await world.clock.advance(0);
    expect(world.agent.answers).toEqual([['per_1', { outcome: 'cancelled' }]]);
    world.agent.fact({ kind: 'aborted' }, { kind: 'quiet' });
    expect(await world.turn.result).toMatchObject({ outcome: 'cancelled' });
  });

  it('dies with its server: nobody is asked any more, and nothing is sent', async () => {
    const world = await askingWorld(permission(), { onPermission: () => undefined });
    world.backend.onLaunch = () => undefined;
    world.backend.life.end();
    await world.clock.advance(0);
    expect([world.supervisor.pendingDecisions(), world.agent.answers]).toEqual([[], []]);
  });

  it('stands in the events of its turn twice: asked, and decided', async () => {
    const world = await askingWorld(permission(), { onPermission: () => ({ outcome: 'reject_once' }) });
    world.agent.complete();
    const events: AgentEvent[] = [];
    for await (const event of world.turn) if (event.type === 'permission') events.push(event);
    expect(events.map((event) => event.type === 'permission' && event.decision)).toEqual([
      undefined,
      { outcome: 'reject_once' },
    ]);
  });

  it('is told to the agent again when the answer did not get through', async () => {
    const world = await askingWorld(permission(), { onPermission: () => undefined });
    let refusals = 2;
    const answered: string[] = [];
    world.agent.answer = (id) => {
      answered.push(id);
      return refusals-- > 0 ? Promise.reject(new Error('500')) : Promise.resolve();
    };
    world.supervisor.decide(`${world.turn.id}:per_1`, { outcome: 'allow_once' });
    await world.clock.advance(10_000);
    expect(answered).toEqual(['per_1', 'per_1', 'per_1']);
  });
});
