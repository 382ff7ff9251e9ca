import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sqliteStore } from '../../../adapters/store/index.ts';
import { derivedSession } from '../../fixtures/derived-session.ts';
import { bundleStoreWriter, startStoreHost, storeHost } from '../../fixtures/store-host.ts';

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

function host(): ReturnType<typeof startStoreHost> {
  const started = startStoreHost([process.execPath, program.path, path, 'obey']);
  hosts.push(started);
  return started;
}

const inUseBy = (who: string) => ({
  code: 'ERR_STORE',
  message: `The session store ${path} is in use by ${who}. Stop that host, or choose another path.`,
});

describe('a store that a host has', () => {
  it('is refused to another process, which is told whose it is, and goes on undisturbed', async () => {
    const owner = host();
    await owner.call('open');
    await owner.call('put', derivedSession(1));
    const store = sqliteStore({ path });
    await expect(store.open()).rejects.toMatchObject(inUseBy(`process ${owner.process.pid ?? 0}`));
    await expect(store.list()).rejects.toMatchObject({ code: 'ERR_STORE' });
    await owner.call('put', derivedSession(2));
    expect(await owner.call('list')).toEqual({ value: [derivedSession(1), derivedSession(2)] });
    await expect(store.open()).rejects.toMatchObject({ code: 'ERR_STORE' });
    await owner.call('close');
    await store.open();
    expect(await store.list()).toEqual([derivedSession(1), derivedSession(2)]);
    await store.close();
  });

  it('is refused to another store of the same process', async () => {
    const [first, second] = [sqliteStore({ path }), sqliteStore({ path })];
    await first.open();
    await expect(second.open()).rejects.toMatchObject(inUseBy(`process ${process.pid}, this one`));
    await expect(host().call('open')).resolves.toMatchObject({ error: inUseBy(`process ${process.pid}`) });
    await first.close();
    await second.open();
    await second.close();
  });

  it('is refused to another thread, and free when the thread has ended', async () => {
    const worker = new Worker(program.path, { argv: [path, 'obey'], stdin: true, stdout: true });
    expect(await storeHost(worker).call('open')).toEqual({});
    const store = sqliteStore({ path });
    await expect(store.open()).rejects.toMatchObject(inUseBy(`process ${process.pid}, this one`));
    await worker.terminate();
    await store.open();
    await store.close();
  });

  it('goes to exactly one of many that want it at once', async () => {
    const stores = Array.from({ length: 8 }, () => sqliteStore({ path }));
    const results = await Promise.allSettled(stores.map((store) => store.open()));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', ...Array<string>(7).fill('rejected')]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('is free as soon as its host was killed, whoever has that pid now', async () => {
    const owner = host();
    await owner.call('open');
    await owner.call('put', derivedSession(1));
    await owner.end();
    writeFileSync(`${path}.owner`, `${process.ppid}\n`);
    const store = sqliteStore({ path });
    await store.open();
    expect(await store.list()).toEqual([derivedSession(1)]);
    await store.close();
  });

  it('names nobody where the owner is not known', async () => {
    const owner = host();
    await owner.call('open');
    writeFileSync(`${path}.owner`, '');
    await expect(sqliteStore({ path }).open()).rejects.toMatchObject(inUseBy('another process'));
  });

  it('does not keep its host alive', async () => {
    const owner = host();
    await owner.call('open');
    owner.process.stdin?.end();
    await new Promise((resolve) => owner.process.once('exit', resolve));
    expect(owner.process.exitCode).toBe(0);
  });
});
