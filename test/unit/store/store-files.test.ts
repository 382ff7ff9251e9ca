import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import libsql from 'libsql/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadDriver, rowsOf } from '../../../adapters/store/driver.ts';
import { sqliteStore } from '../../../adapters/store/index.ts';
import { migrate, MIGRATIONS, versionOf } from '../../../adapters/store/migrations.ts';
import { derivedSession } from '../../fixtures/derived-session.ts';
import { bundleStoreWriter, startStoreHost } from '../../fixtures/store-host.ts';

const NOBODY = { uid: 65_534, gid: 65_534 };
const isRoot = process.getuid?.() === 0;

let program: Awaited<ReturnType<typeof bundleStoreWriter>>;
let root: string;
let path: string;
const hosts: { end: () => Promise<void> }[] = [];

beforeAll(async () => {
  program = await bundleStoreWriter();
});
afterAll(() => program.remove());
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  path = join(root, 'sessions.db');
});
afterEach(async () => {
  await Promise.all(hosts.splice(0).map((host) => host.end()));
  rmSync(root, { recursive: true, force: true });
});

/** A host to which file modes apply: root may write to everything. */
function unprivilegedHost(): ReturnType<typeof startStoreHost> {
  const started = startStoreHost([process.execPath, program.path, path, 'obey'], isRoot ? NOBODY : {});
  hosts.push(started);
  return started;
}

async function sqlite(...statements: readonly string[]): Promise<void> {
  const database = new libsql(path, {}) as { exec(sql: string): Promise<void>; close(): void };
  for (const statement of statements) await database.exec(statement);
  database.close();
}

async function writeStore(count: number): Promise<void> {
  const store = sqliteStore({ path });
  await store.open();
  for (let number = 0; number < count; number += 1) await store.put(derivedSession(number));
  await store.close();
}

/** Refused, and as it was. */
async function expectRefusal(message: RegExp): Promise<void> {
  const before = readFileSync(path);
  await expect(sqliteStore({ path }).open()).rejects.toMatchObject({
    code: 'ERR_STORE',
    message: expect.stringMatching(message) as string,
  });
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(existsSync(`${path}.owner`)).toBe(false);
}

describe('a file that is no store', () => {
  it.each([
    ['a byte', 'x'],
    ['a line', 'These are my notes.\n'],
    ['a page of text', 'x'.repeat(5_000)],
  ])('but %s is refused, and stays as it is', async (_, content) => {
    writeFileSync(path, content);
    await expectRefusal(/is no database|file is not a database\. It is left as it is/);
  });

  it('but the database of another program is refused, and stays as it is', async () => {
    await sqlite('CREATE TABLE mine (a)');
    await expectRefusal(/is the database of another program/);
  });

  it('but was written by a newer version is refused, and stays as it is', async () => {
    await writeStore(1);
    await sqlite('PRAGMA user_version = 99');
    await expectRefusal(/was written by a newer agent-supervisor \(99, known: \d+\)\. Update it\./);
  });

  it('any more, since pages of it are broken, is refused, and stays as it is', async () => {
    await writeStore(12);
    const content = readFileSync(path);
    content.fill(0xff, 8_192);
    writeFileSync(path, content);
    await expectRefusal(/is corrupt\. It is left as it is/);
  });

  it('any more, since its end is missing, is refused, and stays as it is', async () => {
    await writeStore(12);
    truncateSync(path, 8_192);
    await expectRefusal(/is corrupt|malformed\. It is left as it is/);
  });

  it('but a directory is refused', async () => {
    mkdirSync(path);
    await expect(sqliteStore({ path }).open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: `The session store ${path} is no file. Choose another path.`,
    });
  });

  it('since its directory is a file is refused', async () => {
    writeFileSync(path, '');
    await expect(sqliteStore({ path: join(path, 'sessions.db') }).open()).rejects.toMatchObject({
      code: 'ERR_STORE',
      message: expect.stringContaining(`The session store ${join(path, 'sessions.db')} could not be opened`) as string,
    });
  });

  it('but empty becomes one', async () => {
    writeFileSync(path, '');
    await writeStore(1);
  });
});

describe('a store that cannot be written', () => {
  it('because of its file is refused, and says which', async () => {
    await writeStore(1);
    chmodSync(root, 0o777);
    chmodSync(path, 0o444);
    rmSync(`${path}.lock`);
    expect(await unprivilegedHost().call('open')).toMatchObject({
      error: { code: 'ERR_STORE', message: expect.stringContaining(`the file ${path} is read-only`) as string },
    });
  });

  it('because of its directory is refused, and says which', async () => {
    chmodSync(root, 0o555);
    expect(await unprivilegedHost().call('open')).toMatchObject({
      error: { code: 'ERR_STORE', message: expect.stringContaining(`the directory ${root} is read-only`) as string },
    });
  });

  it('because of its lock is refused, and says which', async () => {
    chmodSync(root, 0o777);
    writeFileSync(`${path}.lock`, '', { mode: 0o444 });
    expect(await unprivilegedHost().call('open')).toMatchObject({
      error: { code: 'ERR_STORE', message: expect.stringContaining(`could not be locked with ${path}.lock`) as string },
    });
  });
});

describe('a store whose file goes away', () => {
  it.each(['removed', 'replaced'])('rejects writes after it was %s: they would be lost', async (how) => {
    const store = sqliteStore({ path });
    await store.open();
    await store.put(derivedSession(1));
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix);
    if (how === 'replaced') writeFileSync(path, 'something else');
    const refusal = { code: 'ERR_STORE', message: expect.stringContaining('was removed or replaced') as string };
    await expect(store.put(derivedSession(2))).rejects.toMatchObject(refusal);
    await expect(store.delete('a', 'b')).rejects.toMatchObject(refusal);
    await store.list();
    await store.close();
  });

  it('with its whole directory can be opened anew', async () => {
    path = join(root, 'gone', 'sessions.db');
    const store = sqliteStore({ path });
    await store.open();
    rmSync(join(root, 'gone'), { recursive: true });
    await expect(store.put(derivedSession(1))).rejects.toMatchObject({ code: 'ERR_STORE' });
    await store.close();
    await store.open();
    await store.put(derivedSession(1));
    expect(await store.list()).toEqual([derivedSession(1)]);
    await store.close();
  });
});

describe('a store behind a link', () => {
  it('is the same store, with the same lock', async () => {
    await writeStore(1);
    symlinkSync(path, join(root, 'link.db'));
    const [direct, linked] = [sqliteStore({ path }), sqliteStore({ path: join(root, 'link.db') })];
    await direct.open();
    await expect(linked.open()).rejects.toMatchObject({
      message: expect.stringContaining('is in use by') as string,
    });
    await direct.close();
  });
});

describe('migrations', () => {
  it('bring an older file to the newest version, or leave it as it was', async () => {
    await writeStore(1);
    const connection = (await loadDriver(path))(path, 0);
    const known = MIGRATIONS.length;
    const columns = 'ALTER TABLE session ADD COLUMN a TEXT';
    await expect(migrate(connection, known, [...MIGRATIONS, columns, 'ALTER TABLE nothing ADD b'])).rejects.toThrow();
    expect(await versionOf(connection, path, known)).toBe(known);
    await expect(connection.exec('SELECT a FROM session')).rejects.toThrow('no such column');
    await migrate(connection, known, [...MIGRATIONS, columns]);
    expect(await versionOf(connection, path, known + 1)).toBe(known + 1);
    expect(await rowsOf(connection, 'SELECT chat_id, a FROM session')).toEqual([{ chat_id: 'chat-0', a: null }]);
    connection.close();
  });
});

describe('a store without libsql', () => {
  it('says what to install, and only when it is opened', async () => {
    const bare = await bundleStoreWriter({ withLibsql: false });
    const started = startStoreHost([process.execPath, bare.path, path, 'obey']);
    hosts.push(started);
    expect(await started.call('open')).toMatchObject({
      error: { code: 'ERR_STORE', message: expect.stringMatching(/needs the package libsql.*npm i libsql$/) as string },
    });
    bare.remove();
  });
});
