import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sqliteStore } from '../../../adapters/store/index.ts';
import { derivedSession } from '../../fixtures/derived-session.ts';
import { bundleStoreWriter, noSmallDisk, onSmallDisk } from '../../fixtures/store-host.ts';

const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

let program: Awaited<ReturnType<typeof bundleStoreWriter>>;
let root: string;
let path: string;

beforeAll(async () => {
  program = await bundleStoreWriter({ name: 'turns-over-store' });
});
afterAll(() => program.remove());
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  path = join(root, 'sessions.db');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Worked {
  readonly outcomes: string[];
  readonly warnings: string[];
}

/** Runs turns over the store in a process of its own. */
function work(command: readonly string[], options: object = {}): Worked {
  const [file = '', ...values] = command;
  const { stdout, stderr } = spawnSync(file, values, { encoding: 'utf8', cwd: '/', timeout: 50_000, ...options });
  if (stdout === '') throw new Error(`The program said nothing: ${stderr}`);
  return JSON.parse(stdout) as Worked;
}

const turns = (...more: readonly string[]) => [process.execPath, program.path, path, ...more];
const missing = noSmallDisk();
if (missing !== undefined) process.stderr.write(`NOT TESTED: ${missing}\n`);

describe('turns over a store in a file', () => {
  it.skipIf(missing !== undefined)('work while its disk is full, and the host is warned', () => {
    const { outcomes, warnings } = work(onSmallDisk(root, ...turns('fill')));
    expect(outcomes).toEqual(['completed']);
    expect(warnings[0]).toMatch(/^ERR_STORE Sessions cannot be remembered now.*database or disk is full/);
  });

  it('work while it is read-only, and the host is warned; the file is as it was', async () => {
    const store = sqliteStore({ path });
    await store.open();
    await store.put(derivedSession(1));
    await store.close();
    const before = readFileSync(path);
    chmodSync(path, 0o444);
    chmodSync(root, 0o555);
    const { outcomes, warnings } = work(turns(), NOBODY);
    expect(outcomes).toEqual(['completed']);
    expect(warnings.join('\n')).toMatch(/ERR_STORE .*(read-only|may not be written|cannot be written)/);
    expect(readFileSync(path)).toEqual(before);
  });

  it('work while another host has it, and the host is warned whose it is', async () => {
    const store = sqliteStore({ path });
    await store.open();
    const { outcomes, warnings } = work(turns());
    await store.close();
    expect(outcomes).toEqual(['completed']);
    expect(warnings.join('\n')).toContain(String(process.pid));
  });
});
