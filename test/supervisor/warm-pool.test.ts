import { afterEach, describe, expect, it } from 'vitest';
import { createSupervisor, type PoolOptions, type Session, type SupervisorOptions } from '../../index.ts';
import { FakeAgents, type FakeTimes } from '../fixtures/fake-agents.ts';
import { isSettled } from '../fixtures/running-turn.ts';
import { seededRandom } from '../fixtures/seeded-random.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface PoolWorld {
  readonly pool?: PoolOptions;
  readonly times?: Partial<FakeTimes>;
  readonly options?: Omit<SupervisorOptions, 'backends' | 'pool'>;
  readonly share?: 'session' | 'directory';
}

function poolWorld({ pool = {}, times = {}, options = {}, share = 'session' }: PoolWorld = {}) {
  const clock = new VirtualClock();
  const agents = new FakeAgents(times, { share, health: { enabled: false } });
  const supervisor = createSupervisor({ backends: { agent: agents.definition }, clock, pool, ...options });
  const sessions: string[] = [];
  supervisor.on('session', ({ type, chatId }) => void sessions.push(`${chatId} ${type}`));
  stops.push(async () => {
    const stopped = supervisor.stop({ graceMs: 0 });
    await clock.advance(60_000);
    await stopped;
    expect(agents.violations).toEqual([]);
    expect(clock.pending).toEqual([]);
  });
  const open = async (chatId: string, directory = '/project'): Promise<Session> => {
    const opening = supervisor.openSession({ backend: 'agent', directory, chatId });
    opening.catch(() => undefined);
    await clock.advance(0);
    return opening;
  };
  const handle = supervisor.backend('agent');
  return { clock, agents, supervisor, sessions, open, handle };
}

const DIRECTORY = '/project';
/** More of them by hand: `SEEDS=1,2,3 npx vitest run test/supervisor/warm-pool.test.ts`. */
const SEEDS = (process.env['SEEDS'] ?? '1').split(',').map(Number);

describe('a pool of warm agents', () => {
  it.each(SEEDS)(
    'runs 200 chats over 16 places (seed %i): never more processes, none ended in the middle of a turn, every turn settled',
    async (seed) => {
      const random = seededRandom(seed);
      const upTo = (ms: number) => Math.floor(random() * ms);
      const times = { start: () => upTo(400), stop: () => upTo(200), turn: () => upTo(3_000) };
      const pool = { maxWarm: 16, idleTtlMs: 20_000, sweepMs: 1_000, maxWaiting: 1_000 };
      const { supervisor, clock, agents, sessions } = poolWorld({ pool, times, options: { openTimeoutMs: 3_600_000 } });
      const prompted = new Map<string, string[]>();
      const results: Promise<string>[] = [];
      const work = async (chatId: string) => {
        const session = await supervisor.openSession({ backend: 'agent', directory: DIRECTORY, chatId });
        for (let count = 0; count < 6; count += 1) {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, upTo(60_000)));
          const words = `${chatId}:${count}`;
          prompted.set(session.agentSessionId, [...(prompted.get(session.agentSessionId) ?? []), words]);
          results.push(session.prompt(words).result.then(({ outcome, text }) => `${outcome} ${text === words}`));
        }
      };
      const working = Promise.all(Array.from({ length: 200 }, (_, index) => work(`chat-${index}`)));
      await clock.advance(1_000_000);
      await working;
      expect(new Set(await Promise.all(results))).toEqual(new Set(['completed true']));
      expect([results.length, agents.most <= 16, agents.violations]).toEqual([1_200, true, []]);
      expect(agents.kept).toEqual(prompted); // In order, once each, in its own conversation.
      expect(sessions.filter((event) => event.endsWith('evicted')).length).toBeGreaterThan(300);
      expect(agents.lives.length).toBeGreaterThan(300);
    },
  );

  it('gives the place of the one that was used least recently to whoever needs one, and takes that up again later', async () => {
    const { open, agents, clock, sessions } = poolWorld({ pool: { maxWarm: 2 } });
    const [one, two] = [await open('one'), await open('two')];
    await clock.advance(1);
    const used = one.prompt('hello').result;
    await clock.advance(1);
    await used;
    await open('three');
    expect(sessions).toEqual(['one created', 'two created', 'two evicted', 'three created']);
    expect(two.status()).toMatchObject({ state: 'idle', agentSessionId: two.agentSessionId, generation: 1 });
    const turn = two.prompt('again');
    await clock.advance(0);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'again' });
    expect(sessions.slice(4)).toEqual(['one evicted', 'two restored']);
    expect(two.status()).toMatchObject({ state: 'healthy', generation: 2, restored: 'restored' });
    expect(agents.most).toBe(2);
  });

  it('lets go what nobody has used for long, and tells why', async () => {
    const { open, supervisor, clock, agents, sessions, handle } = poolWorld({
      pool: { idleTtlMs: 5_000, sweepMs: 1_000 },
    });
    const reasons: string[] = [];
    supervisor.on('transition', ({ from, to, reason }) => void reasons.push(`${from} → ${to}: ${reason}`));
    const session = await open('one');
    await clock.advance(4_000);
    const turn = session.prompt('still here');
    await clock.advance(4_500);
    await turn.result;
    expect(agents.running).toHaveLength(1);
    await clock.advance(2_000);
    expect([agents.running, handle.status().instances]).toEqual([[], []]);
    expect(sessions).toEqual(['one created', 'one evicted']);
    expect(reasons).toContain('healthy → stopping: evicted: not used for 5000 ms');
    expect(handle.status()).toMatchObject({ state: 'idle', sessions: 1 });
  });

  it('never ends one that works, or waits for a person, however long that takes', async () => {
    const { open, clock, agents } = poolWorld({ pool: { maxWarm: 1, idleTtlMs: 1_000, sweepMs: 500 } });
    agents.onSend = () => undefined;
    const turn = (await open('one')).prompt('work');
    await clock.advance(0);
    const second = open('two');
    second.catch(() => undefined);
    await clock.advance(59_000);
    expect([await isSettled(turn), agents.lives.length]).toEqual([false, 1]);
    agents.onSend = (sent) => sent.complete();
    void turn.cancel();
    await clock.advance(2_000);
    await second;
    expect(agents.lives).toHaveLength(2);
  });

  it('turns away who finds too many waiting, at once, and who waited too long, with the reason', async () => {
    const { open, clock, agents } = poolWorld({
      pool: { maxWarm: 1, maxWaiting: 1 },
      options: { openTimeoutMs: 10_000 },
    });
    const [one, two] = [await open('one'), await open('two')];
    await open('three'); // Both others are records now.
    agents.onSend = () => undefined;
    const blocking = one.prompt('long');
    await clock.advance(0);
    const waiting = two.prompt('waits');
    await clock.advance(0);
    await expect(open('four')).rejects.toMatchObject({ code: 'ERR_POOL_FULL', backend: 'agent' });
    expect(await isSettled(waiting)).toBe(false);
    await clock.advance(10_000);
    const error = { code: 'ERR_POOL_FULL', retryable: true };
    expect(await waiting.result).toMatchObject({ outcome: 'failed', error });
    expect(await isSettled(blocking)).toBe(false);
    agents.running[0]?.end();
    await clock.advance(0);
    expect((await blocking.result).outcome).toBe('indeterminate');
    agents.onSend = (sent) => sent.complete();
    const again = two.prompt('again');
    await clock.advance(0);
    expect(await again.result).toMatchObject({ outcome: 'completed' });
  });

  it('serves those who wait in the order in which they came', async () => {
    const { open, clock, agents } = poolWorld({ pool: { maxWarm: 1 } });
    const sessions = [await open('one'), await open('two'), await open('three')];
    const sent: string[] = [];
    agents.onSend = (turn) => {
      sent.push(turn.text);
      turn.session.agents.clock.setTimeout(() => turn.complete(), 100);
    };
    const turns = [2, 0, 1].map((index) => sessions[index]!.prompt(`of ${index}`).result);
    await clock.advance(1_000);
    expect([await Promise.all(turns), sent]).toMatchObject([
      [{ outcome: 'completed' }, { outcome: 'completed' }, { outcome: 'completed' }],
      ['of 2', 'of 0', 'of 1'],
    ]);
  });

  it('takes up again what is prompted while it makes room, behind those who waited for its place', async () => {
    const { open, clock, agents } = poolWorld({ pool: { maxWarm: 1 }, times: { stop: () => 1_000 } });
    const one = await open('one');
    const second = open('two');
    second.catch(() => undefined);
    await clock.advance(500);
    const turn = one.prompt('meanwhile');
    await clock.advance(400);
    expect([await isSettled(turn), agents.lives.length]).toEqual([false, 1]);
    await clock.advance(2_000);
    await second;
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'meanwhile' });
    expect(agents.most).toBe(1);
  });

  it('needs nobody else to go when an agent is prompted that was idle for too long in that very moment', async () => {
    const { open, clock, agents, sessions } = poolWorld({
      pool: { idleTtlMs: 1_000, sweepMs: 1_000 },
      times: { stop: () => 700 },
    });
    const one = await open('one');
    await clock.advance(1_100);
    const turn = one.prompt('wait');
    await clock.advance(1_000);
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
    expect([agents.lives.length, sessions]).toEqual([2, ['one created', 'one restored']]);
  });

  it('fails those who wait for a place when their backend is stopped, and leaves what runs for nobody', async () => {
    const { open, clock, agents, handle } = poolWorld({ pool: { maxWarm: 1 } });
    const [one, two] = [await open('one'), await open('two')];
    agents.onSend = () => undefined;
    const running = two.prompt('works');
    await clock.advance(0);
    const waiting = one.prompt('waits');
    await clock.advance(0);
    const stopped = handle.stop();
    await clock.advance(0);
    expect(await waiting.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_STOPPED' } });
    await stopped;
    expect([(await running.result).outcome, agents.running]).toEqual(['indeterminate', []]);
    agents.violations.length = 0; // A stop that was asked for ends turns.
  });

  it('fails a turn whose backend is stopped while its agent, that had made room, comes again', async () => {
    const { open, clock, handle } = poolWorld({
      pool: { idleTtlMs: 1_000, sweepMs: 1_000 },
      times: { stop: () => 700 },
    });
    const session = await open('one');
    await clock.advance(1_100);
    const turn = session.prompt('never sent');
    await clock.advance(100);
    const stopped = handle.stop();
    await clock.advance(1_000);
    await stopped;
    expect(await isSettled(turn)).toBe(true);
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_STOPPED' } });
  });

  it('starts nothing for a session that was closed while its prompt waited for a place', async () => {
    const { open, clock, agents, handle } = poolWorld({ pool: { maxWarm: 1 } });
    const [one, two] = [await open('one'), await open('two')];
    agents.onSend = () => undefined;
    const blocking = two.prompt('blocks');
    await clock.advance(0);
    const waiting = one.prompt('waits');
    await clock.advance(0);
    const closed = one.close();
    await clock.advance(0);
    await closed;
    expect((await waiting.result).outcome).toBe('cancelled');
    agents.running[0]?.end();
    await clock.advance(1_000);
    await blocking.result;
    const running = agents.running.flatMap(({ sessions }) => [...sessions].map(({ agentSessionId }) => agentSessionId));
    expect([running, handle.status().instances.length]).toEqual([[two.agentSessionId], 1]); // It came back for its turn.
  });

  it('starts nothing, and evicts nobody, for a prompt that was cancelled while it waited for a place', async () => {
    const { open, clock, agents, sessions } = poolWorld({ pool: { maxWarm: 1 } });
    const [one, two] = [await open('one'), await open('two')];
    agents.onSend = () => undefined;
    const blocking = two.prompt('blocks');
    await clock.advance(0);
    const waiting = one.prompt('waits');
    await clock.advance(0);
    void waiting.cancel();
    await clock.advance(0);
    expect((await waiting.result).outcome).toBe('cancelled');
    agents.onSend = (sent) => sent.complete();
    void blocking.cancel();
    await clock.advance(10_000);
    expect([agents.lives.length, sessions]).toEqual([2, ['one created', 'one evicted', 'two created']]);
  });

  it('lets nobody who waits for a place that is about to be free stand in the way of others', async () => {
    const { supervisor, clock } = poolWorld({ pool: { maxWarm: 3, maxWaiting: 0 }, times: { stop: () => 100 } });
    const openAll = async (chats: readonly string[]) => {
      const opening = chats.map((chatId) => supervisor.openSession({ backend: 'agent', directory: DIRECTORY, chatId }));
      const opened = Promise.allSettled(opening);
      await clock.advance(1_000);
      return (await opened).map(({ status }) => status);
    };
    expect(await openAll(['a', 'b', 'c'])).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(await openAll(['d', 'e', 'f', 'g'])).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  });

  it('warms up as many as there are places, and restarts what is warm only', async () => {
    const { open, clock, agents, handle } = poolWorld({ pool: { maxWarm: 2 } });
    for (const chatId of ['one', 'two', 'three', 'four']) await open(chatId);
    const lives = agents.lives.length;
    const restarted = handle.restart();
    await clock.advance(0);
    await restarted;
    expect([agents.lives.length - lives, agents.running.length, agents.most]).toEqual([2, 2, 2]);
    const stopped = handle.stop();
    await clock.advance(0);
    await stopped;
    const started = handle.start();
    await clock.advance(0);
    expect((await started).instances.map(({ state }) => state)).toEqual(['healthy', 'healthy']);
    expect(agents.most).toBe(2);
  });

  it('counts an agent that is shared by a directory once', async () => {
    const { open, clock, agents } = poolWorld({ pool: { maxWarm: 1 }, share: 'directory' });
    const sessions = [await open('one'), await open('two'), await open('three')];
    const turns = sessions.map((session) => session.prompt('all at once').result);
    await clock.advance(0);
    expect((await Promise.all(turns)).map(({ outcome }) => outcome)).toEqual(['completed', 'completed', 'completed']);
    expect(agents.lives).toHaveLength(1);
    await open('elsewhere', '/other');
    expect([agents.lives.length, agents.most]).toEqual([2, 1]);
  });

  it('keeps no actor for a conversation at rest: their names are used again', async () => {
    const { open, handle, supervisor } = poolWorld({ pool: { maxWarm: 3 } });
    const ids = new Set<string>();
    supervisor.on('transition', ({ kind, id }) => kind === 'instance' && ids.add(id));
    for (let index = 0; index < 50; index += 1) await open(`chat-${index}`);
    expect([supervisor.status().sessions.length, handle.status().instances.length]).toEqual([50, 3]);
    expect(ids.size).toBeLessThanOrEqual(5);
  });

  it('refuses options that are none', () => {
    const { definition } = new FakeAgents();
    for (const pool of [{ maxWarm: 0 }, { idleTtlMs: 0 }, { sweepMs: -1 }, { maxWaiting: -1 }, { max: 1 }])
      expect(() => createSupervisor({ backends: { agent: definition }, pool })).toThrow(/pool/);
  });
});
