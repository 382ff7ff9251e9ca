import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fileName, replaceFile, stateDirectory, writeNew } from '../../adapters/state-directory.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'))));
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true, force: true });
});

describe('what is kept on disk', () => {
  it("is in the user's own place, unless the host says otherwise", () => {
    vi.stubEnv('XDG_STATE_HOME', '/state');
    expect([stateDirectory(undefined), stateDirectory('/mine')]).toEqual(['/state/agent-supervisor', '/mine']);
    vi.stubEnv('XDG_STATE_HOME', 'relative');
    expect(stateDirectory(undefined)).toMatch(/\.local\/state\/agent-supervisor$/);
  });

  it('is never written over, and is for its owner only', async () => {
    const path = join(root, 'a');
    await writeNew(path, 'first');
    await expect(writeNew(path, 'second')).rejects.toMatchObject({ code: 'EEXIST' });
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['first', 0o600]);
  });

  it('has a name that is one on every system', () => {
    expect(fileName('../a b:c/d\0')).toBe('.._a_b_c_d_');
    expect(fileName('x'.repeat(200))).toHaveLength(80);
  });
});

describe('a file that is replaced', () => {
  it('has the mode that was asked for, whatever the umask', async () => {
    const path = join(root, 'a');
    writeFileSync(path, 'old');
    const before = process.umask(0o077);
    await replaceFile(path, Buffer.from('new'), { mode: 0o664 }).finally(() => process.umask(before));
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['new', 0o664]);
  });

  it('is the old one, with nothing beside it, where it could not be written', async () => {
    const path = join(root, 'a');
    writeFileSync(path, 'old');
    await expect(replaceFile(path, Buffer.from('new'), { mode: 0o600, uid: 2 ** 33, gid: 0 })).rejects.toThrow();
    expect([readdirSync(root), readFileSync(path, 'utf8')]).toEqual([['a'], 'old']);
    chmodSync(path, 0o600);
  });
});
