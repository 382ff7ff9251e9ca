import type { SessionStore, StoredSession } from '../contract/store.ts';

/** Closed sessions that are remembered: nobody needs them, and each chat leaves one. */
const MAX_CLOSED = 1_000;

/**
 * Remembers sessions for as long as the object lives: a supervisor that is created anew over the same store continues
 * them, one in another process does not.
 */
export function memoryStore(): SessionStore {
  const sessions = new Map<string, StoredSession>();
  const closed = new Set<string>();
  const keyOf = (backend: string, chatId: string) => JSON.stringify([backend, chatId]);
  const forget = (key: string) => {
    sessions.delete(key);
    closed.delete(key);
  };
  return {
    open: () => Promise.resolve(),
    get: (backend, chatId) => Promise.resolve(sessions.get(keyOf(backend, chatId))),
    put(session) {
      const key = keyOf(session.backend, session.chatId);
      forget(key);
      sessions.set(key, session);
      if (session.status === 'closed') closed.add(key);
      const [oldest] = closed;
      if (closed.size > MAX_CLOSED && oldest !== undefined) forget(oldest);
      return Promise.resolve();
    },
    delete(backend, chatId) {
      forget(keyOf(backend, chatId));
      return Promise.resolve();
    },
    list: () => Promise.resolve([...sessions.values()]),
    close: () => Promise.resolve(),
  };
}
