import { describe, expect, it } from 'vitest';
import {
  createSupervisor,
  memoryStore,
  type OpenSessionOptions,
  type Session,
  type SessionStore,
} from '../../index.ts';
import { SupervisorError } from '../../actors/errors.ts';
import type { TurnFact } from '../../actors/ports.ts';
import { FakeBackend } from '../fixtures/fake-backend.ts';
import { found, isSettled } from '../fixtures/running-turn.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const here = { backend: 'code', directory: '/project', chatId: 'chat-1' } as const;

/** One life of a host over a store. It dies where nobody stops it. */
function hostOver(store: SessionStore, clock = new VirtualClock()) {
  const backend = new FakeBackend({ health: { enabled: false }, stream: { stallMs: 86_400_000 } });
  const supervisor = createSupervisor({ backends: { code: backend.definition }, clock, store, random: () => 1 });
  const sessions: string[] = [];
  const warnings: string[] = [];
  supervisor.on('session', ({ type }) => void sessions.push(type));
  supervisor.on('warning', ({ message }) => void warnings.push(message));
  const open = async (more: Partial<OpenSessionOptions> = {}): Promise<Session> => {
    const opening = supervisor.openSession({ ...here, ...more, backend: 'code' });
    opening.catch(() => undefined);
    await clock.advance(0);
    return opening;
  };
  return { clock, backend, supervisor, sessions, warnings, open };
}

/** A host that died while its turn had come as far as `facts` say. */
async function diedInATurn({ isSent = true }: { isSent?: boolean } = {}) {
  const store = memoryStore();
  const { open, clock, backend } = hostOver(store);
  const session = await open();
  if (!isSent) backend.life.end();
  if (!isSent) backend.onLaunch = () => undefined;
  const turn = session.prompt('work');
  await clock.advance(0);
  if (isSent) backend.turn.fact({ kind: 'working' }, { kind: 'step-began' });
  await clock.advance(0);
  return { store, session, turnId: turn.id };
}

describe('what is remembered of a session', () => {
  it('is where it is and what it does, and never what was said', async () => {
    const store = memoryStore();
    const { open, clock, backend, supervisor } = hostOver(store);
    const statuses: unknown[] = [];
    const note = async () => {
      await clock.advance(1_000);
      statuses.push(await store.get('code', 'chat-1'));
    };
    const session = await open();
    await note();
    const turn = session.prompt('a secret canary');
    await note();
    backend.turn.complete();
    await note();
    await session.close();
    await note();
    const idle = {
      backend: 'code',
      chatId: 'chat-1',
      agentSessionId: session.agentSessionId,
      directory: '/project',
      status: 'idle',
      lastActiveAt: expect.any(String) as string,
      generation: 1,
      hasHistory: false,
    };
    const running = { id: turn.id, messageId: 'message-1', startedAt: '2026-01-01T00:00:01.000Z' };
    expect(statuses).toEqual([
      idle,
      { ...idle, status: 'active', hasHistory: true, turn: running },
      { ...idle, hasHistory: true },
      { ...idle, status: 'closed', hasHistory: true },
    ]);
    expect(JSON.stringify(statuses)).not.toContain('canary');
    const stopped = supervisor.stop();
    await clock.advance(10_000);
    await stopped;
  });

  it('is that it crashed, where the process of its turn ended, until the next turn', async () => {
    const store = memoryStore();
    const { open, clock, backend } = hostOver(store);
    const session = await open();
    const turn = session.prompt('work');
    await clock.advance(0);
    backend.turn.fact({ kind: 'working' }, { kind: 'gone' });
    await clock.advance(0);
    expect([(await turn.result).outcome, (await store.get('code', 'chat-1'))?.status]).toEqual([
      'indeterminate',
      'crashed',
    ]);
    session.prompt('go on');
    await clock.advance(0);
    backend.turn.complete();
    await clock.advance(0);
    expect((await store.get('code', 'chat-1'))?.status).toBe('idle');
  });

  it('is nothing where it was deleted on its backend', async () => {
    const store = memoryStore();
    const { open, clock } = hostOver(store);
    await (await open()).close({ delete: true });
    await clock.advance(0);
    expect(await store.list()).toEqual([]);
  });
});

describe('a host that was started again', () => {
  it('continues the conversation of a chat, in the same agent session', async () => {
    const store = memoryStore();
    const before = await hostOver(store).open();
    const { open, sessions } = hostOver(store);
    const after = await open();
    expect([after.agentSessionId, after.status().restored, sessions]).toEqual([
      before.agentSessionId,
      'restored',
      ['restored'],
    ]);
    expect(after.interrupted).toBeUndefined();
  });

  it.each<[string, Partial<OpenSessionOptions>]>([
    ['in another directory', { directory: '/other' }],
    ['of another chat', { chatId: 'chat-2' }],
    ['that is to begin anew', { resume: 'never' }],
  ])('begins a conversation %s anew', async (_, options) => {
    const store = memoryStore();
    const before = await hostOver(store).open();
    const { open, backend } = hostOver(store);
    backend.sessions.push(...(new Array(3) as never[])); // New sessions of this backend have other names.
    expect((await open(options)).agentSessionId).not.toBe(before.agentSessionId);
  });

  it('begins anew what was closed', async () => {
    const store = memoryStore();
    const host = hostOver(store);
    await (await host.open()).close();
    await host.clock.advance(0);
    expect((await hostOver(store).open()).status().restored).toBeUndefined();
  });

  it('begins anew, and says so, where the backend has forgotten the session; any other failure is told', async () => {
    const store = memoryStore();
    await hostOver(store).open();
    for (const [code, expected] of [
      ['ERR_SESSION_NOT_FOUND', 'replaced'],
      ['ERR_PROTOCOL', 'rejected'],
    ] as const) {
      const { open, backend } = hostOver(store);
      backend.onOpenSession = ({ resume }) =>
        resume === undefined ? Promise.resolve() : Promise.reject(new SupervisorError(code, 'no'));
      const outcome = await open().then(
        (session) => session.status().restored,
        () => 'rejected',
      );
      expect(outcome).toBe(expected);
    }
  });

  it('finds what was in the middle of a turn crashed', async () => {
    const { store } = await diedInATurn();
    expect((await store.list()).map(({ status }) => status)).toEqual(['active']);
    const { open } = hostOver(store);
    await open({ chatId: 'chat-2' });
    expect((await store.get('code', 'chat-1'))?.status).toBe('crashed');
  });

  const text = (sink: { emit(event: { type: 'text'; text: string }): void }) =>
    sink.emit({ type: 'text', text: 'the answer' });
  const begun: TurnFact[] = [{ kind: 'step-began' }];
  const done: TurnFact[] = [...begun, { kind: 'step-ended', last: true, stopReason: 'end_turn' }];
  const error = { code: 'ERR_TURN_FAILED', message: 'the model said no' };
  it.each<[string, string, readonly TurnFact[], string]>([
    ['completed', 'its answer is complete', [...done, found({ otherLife: true })], 'the answer'],
    ['failed', 'it has an error', [...begun, { kind: 'errored', failure: error }, found({})], 'the answer'],
    ['indeterminate', 'its answer has no end', [...begun, found({ otherLife: true })], 'the answer'],
    ['indeterminate', 'the server works on it still', [...begun, found({ working: true })], 'the answer'],
    ['not-accepted', 'the server never knew it', [found({ place: 'absent', otherLife: true })], ''],
    ['not-accepted', 'the server has its name and not its words', [found({ place: 'torn', otherLife: true })], ''],
    ['indeterminate', 'it was accepted and nothing came of it', [found({ otherLife: true })], ''],
  ])('tells a turn that was under way as %s where %s, and never sends it again', async (outcome, _, facts, said) => {
    const { store, turnId } = await diedInATurn();
    const { open, backend, sessions } = hostOver(store);
    backend.onRecount = ({ messageId }, sink) => {
      expect(messageId).toBe('message-1');
      if (said !== '') text(sink);
      for (const fact of facts) sink.fact(fact);
      return Promise.resolve();
    };
    const session = await open();
    expect(session.interrupted).toEqual({ turnId, outcome, text: said });
    expect(backend.turns).toEqual([]);
    expect(sessions).toEqual(outcome === 'indeterminate' ? ['restored', 'interrupted'] : ['restored']);
  });

  it('tells a turn that waited for its backend like any other: the server knows whether it ever had the prompt', async () => {
    const { store, turnId } = await diedInATurn({ isSent: false });
    const { open, backend } = hostOver(store);
    backend.onRecount = (_, sink) => {
      sink.fact(found({ place: 'absent', otherLife: true }));
      return Promise.resolve();
    };
    expect((await open()).interrupted).toEqual({ turnId, outcome: 'not-accepted', text: '' });
  });

  it.each<[string, Partial<OpenSessionOptions>, string]>([
    ['another conversation is begun', { resume: 'never' }, 'indeterminate'],
    ['another directory is worked in', { directory: '/other' }, 'indeterminate'],
    ['it is opened by the id of its session', { resume: 'agent-session-1' }, 'completed'],
  ])('tells it where %s, too', async (_, options, outcome) => {
    const { store, turnId } = await diedInATurn();
    const { open, backend } = hostOver(store);
    backend.sessions.push(...(new Array(3) as never[])); // New sessions of this backend have other names.
    backend.onRecount = (_, sink) => {
      for (const fact of [...done, found({ otherLife: true })]) sink.fact(fact);
      return Promise.resolve();
    };
    expect((await open(options)).interrupted).toMatchObject({ turnId, outcome });
  });

  it('tells it once', async () => {
    const { store } = await diedInATurn();
    const second = hostOver(store);
    expect((await second.open()).interrupted?.outcome).toBe('indeterminate');
    await second.clock.advance(0);
    expect((await hostOver(store).open()).interrupted).toBeUndefined();
  });

  it('tells it as indeterminate where the server does not answer, in time', async () => {
    const { store } = await diedInATurn();
    const { supervisor, backend, clock } = hostOver(store);
    backend.onRecount = () => new Promise(() => undefined);
    const opening = supervisor.openSession(here);
    await clock.advance(10_000);
    expect((await opening).interrupted?.outcome).toBe('indeterminate');
  });

  it('ends what still works on the turn of the host before it, before it prompts', async () => {
    const { store } = await diedInATurn();
    const { open, backend, clock } = hostOver(store);
    backend.onRecount = (_, sink) => {
      for (const fact of [...begun, found({ working: true })]) sink.fact(fact);
      return Promise.resolve();
    };
    const turn = (await open()).prompt('next');
    await clock.advance(0);
    expect(backend.sessions[0]?.calls).toEqual(['recount message-1', 'quiet']);
    backend.turn.complete('done');
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'done' });
  });

  it('has other names for its turns', async () => {
    const store = memoryStore();
    const ids = [];
    for (let host = 0; host < 2; host += 1) ids.push((await hostOver(store).open()).prompt('x').id);
    expect(new Set(ids).size).toBe(2);
  });
});

/** A store whose calls do as the test says. */
function troubled(trouble: (call: string) => Promise<void> | undefined): SessionStore {
  const store = memoryStore();
  const guard =
    <A extends unknown[], T>(name: string, call: (...given: A) => Promise<T>) =>
    async (...given: A): Promise<T> => {
      await trouble(name);
      return call(...given);
    };
  return {
    open: guard('open', store.open),
    get: guard('get', store.get),
    put: guard('put', store.put),
    delete: guard('delete', store.delete),
    list: guard('list', store.list),
    close: guard('close', store.close),
  };
}

const refused = () => Promise.reject(new Error('no space left on device'));
const never = () => new Promise<void>(() => undefined);

describe('a chat that is closed and opened again', () => {
  it('is on record as what is open, however slowly it was closed, and whatever is asked of the closed one later', async () => {
    const store = memoryStore();
    const { open, clock, backend } = hostOver(store);
    const first = await open();
    let isClosed!: () => void;
    backend.sessions[0]!.close = () => new Promise((resolve) => (isClosed = resolve));
    const closing = first.close();
    const second = open();
    await clock.advance(0);
    isClosed();
    await closing;
    await clock.advance(0);
    const { agentSessionId } = await second;
    expect(agentSessionId).not.toBe(first.agentSessionId);
    expect(await store.get('code', 'chat-1')).toMatchObject({ status: 'idle', agentSessionId });
    backend.sessions[0]!.close = () => Promise.resolve();
    await first.close({ delete: true });
    await clock.advance(0);
    expect(await store.get('code', 'chat-1')).toMatchObject({ status: 'idle', agentSessionId });
  });

  it('is on record as closed where its deletion failed', async () => {
    const store = memoryStore();
    const { open, clock, backend } = hostOver(store);
    const session = await open();
    backend.sessions[0]!.close = () => Promise.reject(new Error('the server refused'));
    await expect(session.close({ delete: true })).rejects.toThrow('refused');
    await clock.advance(0);
    expect(await store.get('code', 'chat-1')).toMatchObject({ status: 'closed' });
  });
});

describe('a store in trouble', () => {
  const turnsOver = async (store: SessionStore) => {
    const host = hostOver(store);
    const opening = host.supervisor.openSession(here);
    await host.clock.advance(5_000);
    const session = await opening;
    for (let count = 0; count < 5; count += 1) {
      const turn = session.prompt(`prompt ${count}`);
      await host.clock.advance(count === 0 ? 250 : 0);
      host.backend.turn.complete();
      await host.clock.advance(0);
      expect(await isSettled(turn)).toBe(true);
    }
    return { ...host, session };
  };

  it.each<[string, string, () => Promise<void>]>([
    ['cannot be opened', 'open', refused],
    ['never opens', 'open', never],
    ['cannot be written', 'put', refused],
    ['never finishes writing', 'put', never],
    ['cannot be read', 'get', refused],
    ['never answers', 'get', never],
    ['cannot be listed', 'list', refused],
  ])(
    'that %s costs no turn, and at the most a moment once: the host is warned, and not again and again',
    async (_, call, trouble) => {
      const { clock, warnings, supervisor } = await turnsOver(
        troubled((name) => (name === call ? trouble() : undefined)),
      );
      await clock.advance(3_600_000);
      expect(warnings.length).toBeGreaterThan(0);
      expect(warnings.length).toBeLessThanOrEqual(2);
      const stopped = supervisor.stop();
      await clock.advance(20_000);
      await stopped;
      expect(clock.pending).toEqual([]);
    },
  );

  it('is tried again ever more slowly, and has the latest of everything when it works again', async () => {
    let isBroken = true;
    let attempts = 0;
    const store = troubled((name) => {
      if (name !== 'put') return undefined;
      attempts += 1;
      return isBroken ? refused() : undefined;
    });
    const { clock, session } = await turnsOver(store);
    await clock.advance(600_000);
    expect(attempts).toBeLessThan(40);
    isBroken = false;
    await clock.advance(30_000);
    expect(await store.get('code', 'chat-1')).toMatchObject({
      agentSessionId: session.agentSessionId,
      status: 'idle',
      hasHistory: true,
    });
  });

  it('because of one record keeps the others', async () => {
    const inner = memoryStore();
    const store = {
      ...inner,
      put: (session: Parameters<SessionStore['put']>[0]) => (session.chatId === 'bad' ? refused() : inner.put(session)),
    };
    const { open, clock, warnings } = hostOver(store);
    await open({ chatId: 'bad' });
    for (let count = 0; count < 40; count += 1) {
      await open({ chatId: `good-${count}` });
      await clock.advance(10_000);
    }
    expect((await inner.list()).map(({ chatId }) => chatId)).toEqual(
      Array.from({ length: 40 }, (_, at) => `good-${at}`),
    );
    expect(warnings).toEqual([
      expect.stringMatching(/^Sessions cannot be remembered now/),
      'The chat "bad" is not remembered: no space left on device.',
    ]);
  });

  it('that can be read and not written continues chats all the same', async () => {
    const inner = memoryStore();
    const { session: crashed } = await diedInATurn().then(async ({ store, session }) => {
      for (const record of await store.list()) await inner.put(record);
      return { session };
    });
    const { open, clock } = hostOver({ ...inner, put: refused });
    const session = await open();
    expect([session.agentSessionId, session.interrupted?.outcome]).toEqual([crashed.agentSessionId, 'indeterminate']);
    await clock.advance(0);
  });

  it('that takes its time is never overtaken by its own earlier call', async () => {
    const inner = memoryStore();
    const clock = new VirtualClock();
    const calls: (() => void)[] = [];
    const put = (session: Parameters<SessionStore['put']>[0]) =>
      new Promise<void>((resolve) => calls.push(() => void inner.put(session).then(resolve)));
    const { supervisor, backend } = hostOver({ ...inner, put }, clock);
    const opening = supervisor.openSession(here);
    await clock.advance(0);
    const turn = (await opening).prompt('work');
    await clock.advance(250);
    backend.turn.complete();
    await clock.advance(20_000);
    expect([(await turn.result).outcome, calls.length]).toEqual(['completed', 1]);
    for (let count = 0; count < 5; count += 1) {
      calls.shift()?.();
      await clock.advance(30_000);
    }
    expect(await inner.get('code', 'chat-1')).toMatchObject({ status: 'idle', hasHistory: true });
  });

  it('that is known to be slow keeps no prompt waiting', async () => {
    const inner = memoryStore();
    const clock = new VirtualClock();
    const slow = () => new Promise<void>((resolve) => clock.setTimeout(resolve, 300));
    const put = (session: Parameters<SessionStore['put']>[0]) => slow().then(() => inner.put(session));
    const { supervisor, backend } = hostOver({ ...inner, put }, clock);
    const opening = supervisor.openSession(here);
    await clock.advance(1_000);
    const session = await opening;
    for (let count = 0; count < 3; count += 1) {
      session.prompt('work');
      await clock.advance(0);
      expect(backend.turn.calls).toEqual(['send']);
      backend.turn.complete();
      await clock.advance(2_000);
    }
  });

  it('is opened and closed once, however often the supervisor is stopped', async () => {
    const calls: string[] = [];
    const store = troubled((name) => (calls.push(name), undefined));
    const { open, supervisor, clock } = hostOver(store);
    await open();
    const stopped = [supervisor.stop(), supervisor.stop()];
    await clock.advance(20_000);
    await Promise.all(stopped);
    expect(calls.filter((name) => name === 'open' || name === 'close')).toEqual(['open', 'close']);
  });

  it('has what was said last before the supervisor is stopped', async () => {
    const inner = memoryStore();
    const clock = new VirtualClock();
    const slow = () => new Promise<void>((resolve) => clock.setTimeout(resolve, 100));
    const store = {
      ...inner,
      put: (session: Parameters<SessionStore['put']>[0]) => slow().then(() => inner.put(session)),
    };
    const { supervisor } = hostOver(store, clock);
    const opening = supervisor.openSession(here);
    await clock.advance(0);
    await opening;
    const stopped = supervisor.stop();
    await clock.advance(10_000);
    await stopped;
    expect(await inner.list()).toMatchObject([{ chatId: 'chat-1', status: 'idle' }]);
  });

  it('is refused where it is none', () => {
    const { definition } = new FakeBackend();
    expect(() => createSupervisor({ backends: { code: definition }, store: {} as SessionStore })).toThrow('store.open');
  });
});
