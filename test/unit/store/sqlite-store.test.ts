import { copyFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import libsql from 'libsql/promise';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore, sqliteStore, type SqliteStoreOptions } from '../../../adapters/store/index.ts';
import type { SessionStore, StoredSession } from '../../../index.ts';
import { derivedSession } from '../../fixtures/derived-session.ts';
import { until } from '../../fixtures/until.ts';

const DAY_MS = 86_400_000;
const NOT_OPEN = /is not open\. Call open\(\) first/;

let root: string;
let path: string;
const opened: SessionStore[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  path = join(root, 'state', 'sessions.db');
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  rmSync(root, { recursive: true, force: true });
});

async function open(at = path): Promise<SessionStore> {
  const store = sqliteStore({ path: at });
  await store.open();
  opened.push(store);
  return store;
}

/** Another program that has the file open. */
async function asAnother(use: (other: { exec(sql: string): Promise<void> }) => Promise<void>): Promise<void> {
  const other = new libsql(path, { timeout: 0 });
  await use(other).finally(() => other.close());
}

const byChat = (sessions: readonly StoredSession[]) => sessions.toSorted((a, b) => a.generation - b.generation);

describe.each([
  ['in memory', () => memoryStore()],
  ['in a file', () => sqliteStore({ path })],
])('a store %s', (_, create) => {
  it('gives back what was put last for a chat with a backend, and nothing of another', async () => {
    const store = create();
    await store.open();
    opened.push(store);
    const first = derivedSession(1);
    const sameChat = { ...derivedSession(2), backend: first.backend, chatId: first.chatId };
    const otherBackend = { ...derivedSession(3), backend: 'other', chatId: first.chatId };
    await Promise.all([store.put(first), store.put(sameChat), store.put(otherBackend)]);
    expect([await store.get(first.backend, first.chatId), await store.get('other', 'unknown')]).toEqual([
      sameChat,
      undefined,
    ]);
    expect(byChat(await store.list())).toEqual([sameChat, otherBackend]);
    await store.delete('other', first.chatId);
    await store.delete('other', 'unknown');
    expect(await store.list()).toEqual([sameChat]);
  });
});

describe('a store in a file', () => {
  it('keeps any text as it is', async () => {
    const store = await open();
    const texts = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\0'));
    await fc.assert(
      fc.asyncProperty(texts, texts, async (backend, chatId) => {
        const session = { ...derivedSession(4), backend, chatId, directory: `/${chatId}` };
        await store.put(session);
        expect(await store.get(backend, chatId)).toEqual(session);
      }),
    );
    expect(await store.get("' OR 1=1 --", "'")).toBeUndefined();
  });

  it('still has everything when it is opened anew', async () => {
    const sessions = Array.from({ length: 12 }, (_, number) => derivedSession(number));
    const first = await open();
    await Promise.all(sessions.map((session) => first.put(session)));
    await first.close();
    await first.open();
    expect(byChat(await first.list())).toEqual(sessions);
    await first.close();
    expect(byChat(await (await open()).list())).toEqual(sessions);
  });

  it('is one file when it is closed: a copy of that alone has everything', async () => {
    const store = await open();
    await store.put(derivedSession(1));
    await store.close();
    copyFileSync(path, join(root, 'copy.db'));
    expect(await (await open(join(root, 'copy.db'))).list()).toEqual([derivedSession(1)]);
  });

  it('finishes what was asked before its end, and refuses what comes after', async () => {
    const store = await open();
    const put = store.put(derivedSession(1));
    const closed = store.close();
    const late = store.put(derivedSession(2));
    await expect(late).rejects.toMatchObject({ code: 'ERR_STORE', message: expect.stringMatching(NOT_OPEN) as string });
    await Promise.all([put, closed]);
    expect(await (await open()).list()).toEqual([derivedSession(1)]);
  });

  it('refuses every call before it is open and after its end, but a second end', async () => {
    const store = sqliteStore({ path });
    const calls = () => [store.get('a', 'b'), store.put(derivedSession(1)), store.delete('a', 'b'), store.list()];
    const refused = { code: 'ERR_STORE', message: expect.stringMatching(NOT_OPEN) as string };
    for (const call of calls()) await expect(call).rejects.toMatchObject(refused);
    expect(readdirSync(root)).toEqual([]);
    await store.close();
    await store.open();
    await expect(store.open()).rejects.toMatchObject({ code: 'ERR_STORE' });
    await Promise.all([store.close(), store.close()]);
    for (const call of calls()) await expect(call).rejects.toMatchObject(refused);
  });

  it('is for its owner only, with its directory and what stands beside it', async () => {
    const store = await open();
    await store.put(derivedSession(1));
    const directory = join(root, 'state');
    const modes = readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777]);
    expect(modes).toEqual(['', '-shm', '-wal', '.lock', '.owner'].map((suffix) => [`sessions.db${suffix}`, 0o600]));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('passes over rows that are no sessions, and refuses to make one', async () => {
    const store = await open();
    await Promise.all([store.put(derivedSession(1)), store.put(derivedSession(2))]);
    await asAnother((other) => other.exec(`UPDATE session SET status = 'asleep' WHERE chat_id = 'chat-1'`));
    expect([await store.list(), await store.get('backend-1', 'chat-1')]).toEqual([[derivedSession(2)], undefined]);
    await expect(store.put({ ...derivedSession(3), generation: -1 })).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining('a field of it is malformed') as string,
    });
    await expect(store.put(undefined as unknown as StoredSession)).rejects.toMatchObject({ code: 'ERR_STORE' });
  });

  it('forgets closed sessions after thirty days, and no others', async () => {
    const store = await open();
    const kept = (number: number, status: StoredSession['status'], days: number) => ({
      ...derivedSession(number),
      status,
      lastActiveAt: new Date(Date.now() - days * DAY_MS).toISOString(),
    });
    const sessions = [kept(1, 'closed', 31), kept(2, 'closed', 29), kept(3, 'idle', 400), kept(4, 'crashed', 31)];
    for (const session of sessions) await store.put(session);
    await store.close();
    expect(byChat(await (await open()).list())).toEqual(sessions.slice(1));
  });

  it('does not hold up the host while a write waits', async () => {
    const store = await open();
    let turns = 0;
    const ticks = setInterval(() => (turns += 1), 1);
    await asAnother(async (other) => {
      await other.exec('BEGIN IMMEDIATE');
      let isWritten = false;
      const put = store.put(derivedSession(1)).then(() => (isWritten = true));
      await until('the loop of the host turns', () => turns > 50, 1_500);
      expect(isWritten).toBe(false);
      await other.exec('ROLLBACK');
      await put;
    }).finally(() => clearInterval(ticks));
    expect(await store.list()).toEqual([derivedSession(1)]);
  });

  it('can be read by others while it is open, and says so when one of them holds it locked', async () => {
    const store = await open();
    await store.put(derivedSession(1));
    await asAnother(async (other) => {
      await other.exec('SELECT * FROM session');
      await other.exec('BEGIN IMMEDIATE');
      await expect(store.put(derivedSession(2))).rejects.toMatchObject({
        code: 'ERR_STORE',
        reason: 'SQLITE_BUSY',
        message: `The session store ${path} could not be written: database is locked. Another program holds it locked.`,
      });
      expect(await store.list()).toEqual([derivedSession(1)]);
      await other.exec('ROLLBACK');
    });
    await store.put(derivedSession(2));
  });

  it('refuses more than waits sensibly, and closes all the same', async () => {
    const store = await open();
    const gets = Array.from({ length: 10_100 }, () => store.get('a', 'b'));
    const closed = store.close();
    const refused = (await Promise.allSettled(gets)).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThanOrEqual(100);
    expect(refused[0]).toMatchObject({
      reason: { code: 'ERR_STORE', message: expect.stringContaining('10000 calls wait') as string },
    });
    await closed;
  });

  it.each([
    [{ path: 'relative.db' }, 'path: expected an absolute path, got "relative.db"'],
    [{ path: '' }, 'path: expected a non-empty string, got ""'],
    [{}, 'path: expected a non-empty string, got undefined'],
    [{ path: '/a', mode: 1 }, 'options: expected only the options path, got "mode"'],
  ])('is refused with the options %j', (options, message) => {
    expect(() => sqliteStore(options as SqliteStoreOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message }) as Error,
    );
  });
});
