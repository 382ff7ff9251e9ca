import { describe, expect, it } from 'vitest';
import { SupervisorError } from '../../index.ts';
import { fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

const open = { backend: 'code', directory: '/project', chatId: 'chat-1' } as const;

describe('a session', () => {
  it('does not change to a model or a mode that the backend does not have', async () => {
    const { supervisor } = fakeWorld();
    const session = await supervisor.openSession({ ...open, model: 'a/b' });
    await expect(session.setModel('unknown')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    await expect(session.setMode('unknown')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect(session.status()).toMatchObject({ model: 'a/b' });
  });

  it('changes at once while its backend is down: the prompt will tell', async () => {
    const { supervisor, backend } = fakeWorld();
    const session = await supervisor.openSession(open);
    await supervisor.backend('code').stop();
    await session.setModel('unknown');
    expect([session.status().model, backend.lives.length]).toEqual(['unknown', 1]);
  });

  it('asks before it is forked whether the fork could be opened', async () => {
    const { supervisor, backend } = fakeWorld();
    const session = await supervisor.openSession({ ...open, mode: 'unknown' });
    await expect(session.fork()).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect(backend.sessions).toHaveLength(1);
  });

  it('is the same one for whoever opens the same chat, and stays until it is closed', async () => {
    const { supervisor, backend } = fakeWorld();
    const [one, two] = await Promise.all([supervisor.openSession(open), supervisor.openSession(open)]);
    const three = await supervisor.openSession(open);
    expect([two === one, three === one, backend.sessions.length]).toEqual([true, true, 1]);
    await one.release();
    expect(supervisor.status().sessions).toHaveLength(1);
  });

  it('is opened once by callers that come while the first attempt fails', async () => {
    const { supervisor, backend } = fakeWorld();
    let attempts = 0;
    backend.onOpenSession = () => {
      attempts += 1;
      return attempts === 1 ? Promise.reject(new SupervisorError('ERR_PROTOCOL', 'not yet')) : Promise.resolve();
    };
    const [first, second, third] = await Promise.allSettled(
      [open, open, open].map((options) => supervisor.openSession(options)),
    );
    expect([first?.status, second?.status, third?.status]).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect([backend.sessions.length, supervisor.status().sessions.length]).toEqual([1, 1]);
  });

  it('moves through the directories that are asked for, one after the other', async () => {
    const { supervisor, backend } = fakeWorld();
    const session = await supervisor.openSession(open);
    await Promise.all(['/a', '/b'].map((directory) => supervisor.openSession({ ...open, directory })));
    expect([session.directory, backend.sessions.map(({ directory }) => directory)]).toEqual([
      '/b',
      ['/project', '/a', '/b'],
    ]);
  });

  it('gets a chat of its own where none is named', async () => {
    const { supervisor } = fakeWorld();
    const sessions = await Promise.all(
      [0, 1].map(() => supervisor.openSession({ backend: 'code', directory: '/project' })),
    );
    expect(new Set(sessions.map(({ chatId }) => chatId)).size).toBe(2);
  });

  it('moves to another directory once it is quiet', async () => {
    const { supervisor, backend, clock, events } = fakeWorld();
    const session = await supervisor.openSession(open);
    const turn = session.prompt('work');
    await clock.advance(0);
    const moving = supervisor.openSession({ ...open, directory: '/elsewhere' });
    await clock.advance(0);
    expect([session.directory, backend.sessions.length]).toEqual(['/project', 1]);
    backend.turn.complete();
    await turn.result;
    expect(await moving).toBe(session);
    expect([session.directory, session.agentSessionId]).toEqual(['/elsewhere', 'agent-session-2']);
    expect(events.session.map(({ type }) => type)).toEqual(['created', 'replaced']);
  });

  it('continues an agent session by its id, and says so', async () => {
    const { supervisor, events } = fakeWorld();
    const session = await supervisor.openSession({ ...open, resume: 'ses_old' });
    expect([session.agentSessionId, session.status().restored]).toEqual(['ses_old', 'restored']);
    expect(events.session.map(({ type }) => type)).toEqual(['restored']);
  });

  it('forks into a new session with a chat of its own', async () => {
    const { supervisor } = fakeWorld();
    const session = await supervisor.openSession({ ...open, model: 'a/b' });
    const forked = await session.fork();
    expect(forked.agentSessionId).toBe('agent-session-1-fork');
    expect(forked.chatId).not.toBe(session.chatId);
    expect(forked.status().model).toBe('a/b');
  });

  it('sends each prompt with the model, agent and mode of the prompt, or else of the session', async () => {
    const { supervisor, backend, clock } = fakeWorld();
    const session = await supervisor.openSession({ ...open, model: 'a/b', agent: 'build' });
    const requests = [];
    for (const options of [{}, { model: 'c/d' }, { mode: 'plan' }]) {
      session.prompt('work', options);
      await clock.advance(0);
      const { blocks: _, ...request } = backend.turn.request;
      requests.push(request);
      backend.turn.complete();
      await clock.advance(0);
    }
    await session.setModel('e/f');
    await session.setMode('plan');
    session.prompt('work');
    await clock.advance(0);
    const { blocks: _, ...last } = backend.turn.request;
    expect([...requests, last]).toEqual([
      { model: 'a/b', agent: 'build' },
      { model: 'c/d', agent: 'build' },
      { model: 'a/b', mode: 'plan' },
      { model: 'e/f', mode: 'plan' },
    ]);
  });

  it('cancels its turns when it is closed, and takes no prompt after that', async () => {
    const { supervisor, backend, clock, events } = fakeWorld();
    const session = await supervisor.openSession(open);
    const turns = [session.prompt('one'), session.prompt('two')];
    await clock.advance(0);
    const closing = session.close();
    await clock.advance(0);
    backend.turn.fact({ kind: 'working' }, { kind: 'quiet' });
    await closing;
    expect(await Promise.all(turns.map(async (turn) => (await turn.result).outcome))).toEqual([
      'cancelled',
      'cancelled',
    ]);
    expect(await session.prompt('three').result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_SESSION_CLOSED' },
    });
    expect([supervisor.status().sessions, backend.sessions[0]?.calls]).toEqual([[], ['close']]);
    expect(events.session.at(-1)).toMatchObject({ type: 'closed' });
    expect((await supervisor.openSession(open)).id).not.toBe(session.id);
  });

  it('deletes nothing on the backend unless asked', async () => {
    const { supervisor, backend } = fakeWorld();
    await (await supervisor.openSession(open)).close({ delete: true });
    expect(backend.sessions[0]?.calls).toEqual(['delete']);
  });

  it('is not opened where the backend refuses it, and the next attempt is a new one', async () => {
    const { supervisor, backend } = fakeWorld();
    backend.onOpenSession = () => Promise.reject(new SupervisorError('ERR_CONFIG_INVALID', 'opencode.json is broken'));
    await expect(supervisor.openSession(open)).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    backend.onOpenSession = () => Promise.resolve();
    await expect(supervisor.openSession(open)).resolves.toBeDefined();
    expect(supervisor.status().backends['code']).toMatchObject({ state: 'healthy', restarts: 0 });
  });

  it('opens nothing for a signal that is aborted already', async () => {
    const { supervisor, backend } = fakeWorld();
    await expect(
      supervisor.openSession({ ...open, signal: AbortSignal.abort(new Error('never mind')) }),
    ).rejects.toThrow('never mind');
    expect(backend.lives).toHaveLength(0);
  });

  it('is let go by `await using`', async () => {
    const { supervisor } = fakeWorld();
    {
      await using session = await supervisor.openSession(open);
      expect(session.id).toBe('session-1');
    }
    expect(supervisor.status().sessions).toHaveLength(1);
  });
});

describe('a host that misbehaves', () => {
  it('with listeners that throw or reject changes no lifecycle, and is told in the log', async () => {
    const { supervisor, logged } = fakeWorld();
    supervisor.on('transition', () => {
      throw new Error('listener is broken');
    });
    supervisor.on('session', () => Promise.reject(new Error('async listener is broken')) as never);
    await supervisor.openSession(open);
    await settled();
    expect(supervisor.status().backends['code']?.state).toBe('healthy');
    expect(logged.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('listener is broken'),
        expect.stringContaining('async listener is broken'),
      ]),
    );
  });

  it('with a logger that throws changes no lifecycle', async () => {
    const broken = () => {
      throw new Error('disk full');
    };
    const { supervisor } = fakeWorld({
      supervisor: { logger: { debug: broken, info: broken, warn: broken, error: broken } },
    });
    await supervisor.openSession(open);
    expect(supervisor.status().backends['code']?.state).toBe('healthy');
    await supervisor.stop();
  });
});
