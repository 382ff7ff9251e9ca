import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../fixtures/fake-world.ts';

const open = { backend: 'code', directory: '/project', chatId: 'chat-1' } as const;
const refused = { code: 'ERR_INVALID_OPTION' };

describe('a chat', () => {
  it('shares its agent session with no other: both would take each other’s events', async () => {
    const { supervisor } = fakeWorld();
    const { agentSessionId } = await supervisor.openSession(open);
    const other = { ...open, chatId: 'chat-2', resume: agentSessionId };
    await expect(supervisor.openSession(other)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('which is open as the chat \\"chat-1\\"') as string,
    });
    expect(supervisor.status().sessions).toHaveLength(1);
  });

  it('that is open is not made to continue something else', async () => {
    const { supervisor } = fakeWorld();
    const session = await supervisor.openSession(open);
    await expect(supervisor.openSession({ ...open, resume: 'ses_other' })).rejects.toMatchObject(refused);
    expect(await supervisor.openSession({ ...open, resume: session.agentSessionId })).toBe(session);
    await session.close();
    expect(await supervisor.openSession({ ...open, resume: 'ses_other' })).toMatchObject({
      agentSessionId: 'ses_other',
    });
  });

  it('is waited for only as long as the caller likes, also behind another one', async () => {
    const { supervisor, backend, clock } = fakeWorld();
    await supervisor.backend('code').start();
    backend.onOpenSession = () => new Promise(() => undefined);
    const first = expect(supervisor.openSession(open)).rejects.toThrow();
    const giveUp = new AbortController();
    const second = expect(supervisor.openSession({ ...open, signal: giveUp.signal })).rejects.toThrow('never mind');
    await clock.advance(0);
    giveUp.abort(new Error('never mind'));
    await second;
    await clock.advance(60_000);
    await first;
  });

  it('moves to another directory when the prompts are done that came while it was opened there', async () => {
    const { supervisor, backend, clock } = fakeWorld({ backend: { stream: { scope: 'directory' } } });
    const session = await supervisor.openSession(open);
    await clock.advance(0);
    let opened!: () => void;
    backend.onOpenSession = () => new Promise((resolve) => (opened = resolve));
    const moving = supervisor.openSession({ ...open, directory: '/other' });
    await clock.advance(0);
    const turn = session.prompt('work');
    await clock.advance(0);
    opened();
    await clock.advance(0);
    expect(backend.connections.map(({ target, isClosed }) => [target.directory, isClosed])).toEqual([
      ['/project', false],
    ]);
    backend.turn.complete('in the old place');
    expect(await turn.result).toMatchObject({ text: 'in the old place' });
    expect((await moving).directory).toBe('/other');
  });

  it.each(['directory', 'session'] as const)(
    'is closed without a word of a defect while its stream changes (one for each %s)',
    async (scope) => {
      const { supervisor, clock, logged } = fakeWorld({ backend: { stream: { scope } } });
      for (let ticks = 0; ticks < 8; ticks += 1) {
        const session = await supervisor.openSession({ ...open, chatId: `chat-${ticks}` });
        await clock.advance(10);
        const closed = session.close();
        for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
        void supervisor.backend('code').stop();
        await closed;
        await clock.advance(10);
      }
      expect(logged.filter(({ level }) => level === 'error')).toEqual([]);
    },
  );

  it('is deleted where that was asked for, though its backend is down', async () => {
    const { supervisor, backend } = fakeWorld();
    const session = await supervisor.openSession(open);
    await supervisor.backend('code').stop();
    await session.close({ delete: true });
    expect([backend.lives.length, backend.sessions[0]?.calls]).toEqual([2, ['delete']]);
  });

  it('is deleted where that was asked for while it was closed', async () => {
    const { supervisor, backend } = fakeWorld();
    const session = await supervisor.openSession(open);
    await Promise.all([session.close(), session.close({ delete: true })]);
    expect(backend.sessions[0]?.calls).toEqual(['close', 'delete']);
  });
});
