import { describe, expect, it } from 'vitest';
import { createSupervisor, memoryStore, type SessionStore, type StoredSession } from '../../index.ts';
import { FakeBackend } from '../fixtures/fake-backend.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const here = { backend: 'code', directory: '/project', chatId: 'chat-1' } as const;

/** A store in which each record takes its time. */
function slowStore(inner: SessionStore, clock: VirtualClock, putMs: number): SessionStore {
  const passed = () => new Promise<void>((resolve) => clock.setTimeout(resolve, putMs));
  return { ...inner, put: (session) => passed().then(() => inner.put(session)) };
}

async function openOver(store: SessionStore, clock: VirtualClock) {
  const backend = new FakeBackend({ health: { enabled: false }, stream: { stallMs: 86_400_000 } });
  const supervisor = createSupervisor({ backends: { code: backend.definition }, clock, store, random: () => 1 });
  const opening = supervisor.openSession(here);
  await clock.advance(0);
  return { backend, session: await opening };
}

/** What is on record from when the prompt is sent until nothing more is written. */
async function recordsOf({ putMs, isDown }: { readonly putMs: number; readonly isDown: boolean }) {
  const [inner, clock] = [memoryStore(), new VirtualClock()];
  const { backend, session } = await openOver(slowStore(inner, clock, putMs), clock);
  await clock.advance(10_000);
  if (isDown) backend.life.end();
  await clock.advance(0);
  const records = new Map<string, StoredSession>();
  for (const prompt of ['first', 'second']) {
    session.prompt(prompt);
    for (let passedMs = 0; passedMs < 10_000; passedMs += 20) {
      await clock.advance(20);
      const record = await inner.get('code', 'chat-1');
      const isSent = backend.turns.at(-1)?.text === prompt && backend.turn.calls.includes('send');
      if (record && isSent) records.set(JSON.stringify(record), record);
    }
    backend.turn.complete();
    await clock.advance(10_000);
    if (isDown) backend.life.end();
    await clock.advance(0);
  }
  return [...records.values()];
}

/** What the next host is told. */
async function outcomeAfter(record: StoredSession) {
  const store = memoryStore();
  await store.put(record);
  const { session } = await openOver(store, new VirtualClock());
  return session.interrupted?.outcome;
}

describe.each([
  ['at once', false],
  ['once the backend is up', true],
])('a prompt that was sent %s', (_, isDown) => {
  it.each([0, 100, 260, 400, 2_000])(
    'is never told as one that was not, whenever its host died, where records are written in %i ms',
    async (putMs) => {
      const records = await recordsOf({ putMs, isDown });
      const outcomes = new Set(await Promise.all(records.map(outcomeAfter)));
      expect(outcomes).toContain('indeterminate');
      expect(outcomes).not.toContain('not-accepted');
    },
  );
});
