import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StoredSession } from '../../../index.ts';
import { derivedSession } from '../../fixtures/derived-session.ts';
import {
  type Answer,
  bundleStoreWriter,
  noSmallDisk,
  onSmallDisk,
  startStoreHost,
  type StoreHost,
} from '../../fixtures/store-host.ts';

let program: Awaited<ReturnType<typeof bundleStoreWriter>>;
let root: string;
let path: string;
let host: ReturnType<typeof startStoreHost>;

beforeAll(async () => {
  program = await bundleStoreWriter();
});
afterAll(() => program.remove());
const missing = noSmallDisk();
if (missing !== undefined) process.stderr.write(`NOT TESTED: ${missing}\n`);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  path = join(root, 'sessions.db');
  host = startStoreHost(onSmallDisk(root, process.execPath, program.path, path, 'obey'));
});
afterEach(async () => {
  await host.end();
  rmSync(root, { recursive: true, force: true });
});

/** Until one is refused; the numbers of those that were kept, by chat, and the refusal. */
async function putUntilRefused({ call }: StoreHost): Promise<{ kept: Map<string, StoredSession>; refusal: Answer }> {
  const kept = new Map<string, StoredSession>();
  for (let number = 0; ; number += 1) {
    const session = derivedSession(number);
    const refusal = await call('put', session);
    if (refusal.error) return { kept, refusal };
    kept.set(session.chatId, session);
  }
}

const sorted = (sessions: Iterable<StoredSession>) => [...sessions].sort((a, b) => a.generation - b.generation);
const listed = async ({ call }: StoreHost) => sorted((await call('list')).value as StoredSession[]);

describe.skipIf(missing !== undefined)('a store on a full disk', () => {
  it('rejects writes, goes on reading, and writes again when there is room', async () => {
    await host.call('open');
    await host.call('fill');
    const { kept, refusal } = await putUntilRefused(host);
    expect(refusal.error).toEqual({
      code: 'ERR_STORE',
      reason: 'SQLITE_FULL',
      message: `The session store ${path} could not be written: database or disk is full. Make room on its disk: later writes work again.`,
    });
    expect(await listed(host)).toEqual(sorted(kept.values()));
    await host.call('free');
    const next = derivedSession(100_000);
    expect(await host.call('put', next)).toEqual({});
    kept.set(next.chatId, next);
    expect(await listed(host)).toEqual(sorted(kept.values()));
  });

  it('loses nothing when it is closed there, and it can be opened, or is refused, without room', async () => {
    await host.call('open');
    await host.call('fill');
    const { kept } = await putUntilRefused(host);
    await host.call('close');
    await host.call('fill');
    expect([undefined, 'ERR_STORE']).toContain((await host.call('open')).error?.code);
    await host.call('close');
    await host.call('free');
    expect(await host.call('open')).toEqual({});
    expect(await listed(host)).toEqual(sorted(kept.values()));
  });

  it('that has no room for a new one refuses it, and makes it later', async () => {
    await host.call('fill');
    expect(await host.call('open')).toMatchObject({ error: { code: 'ERR_STORE' } });
    await host.call('free');
    expect(await host.call('open')).toEqual({});
    expect(await host.call('put', derivedSession(1))).toEqual({});
  });
});
