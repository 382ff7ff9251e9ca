import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WorktreeFiles } from '../../../adapters/acp/worktree-files.ts';

const SECRET = 'the secret of somebody else';
let base: string;
let root: string;
let outside: string;
let files: WorktreeFiles;

beforeEach(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'agent-supervisor-test-')));
  root = join(base, 'work');
  outside = join(base, 'outside');
  for (const path of [root, join(root, 'src'), outside, join(base, 'work-evil'), join(outside, 'deep')])
    mkdirSync(path);
  for (const path of [join(outside, 'secret'), join(outside, 'deep', 'secret'), join(base, 'work-evil', 'secret')])
    writeFileSync(path, SECRET);
  writeFileSync(join(root, 'plain.txt'), 'one\ntwo\nthree\n');
  symlinkSync(outside, join(root, 'linked-directory'));
  symlinkSync(join(outside, 'secret'), join(root, 'linked-file'));
  symlinkSync(join(outside, 'not-there'), join(root, 'dangling'));
  symlinkSync('linked-directory', join(root, 'link-to-link'));
  symlinkSync('..', join(root, 'up'));
  symlinkSync('/', join(root, 'src', 'slash'));
  symlinkSync('plain.txt', join(root, 'own-link'));
  linkSync(join(outside, 'secret'), join(root, 'hard-link'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  symlinkSync('/dev/zero', join(root, 'device'));
  files = new WorktreeFiles(root);
  await files.pin();
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** Everything that is not in the worktree, as it is. */
const world = () =>
  ['outside', 'outside/deep', 'work-evil'].flatMap((folder) =>
    readdirSync(join(base, folder), { withFileTypes: true }).map((entry) => [
      join(folder, entry.name),
      entry.isFile() ? readFileSync(join(base, folder, entry.name), 'utf8') : 'directory',
    ]),
  );

const refused = { code: 'ERR_PATH_OUTSIDE_WORKTREE' };

/** Ways out, and what is put around them. */
function attacks(): string[] {
  const escapes = [
    'linked-directory/secret',
    'linked-directory/deep/secret',
    'linked-directory/new',
    'linked-file',
    'dangling',
    'dangling/new',
    'link-to-link/secret',
    'link-to-link/deep/../secret',
    'up/outside/secret',
    'up/work-evil/secret',
    `src/slash${outside}/secret`,
    'src/slash/etc/passwd',
    'hard-link',
    'fifo',
    'device',
    '../outside/secret',
    '../work-evil/secret',
    'src/../../outside/secret',
    './/..//outside/secret',
    'src/./../../outside/deep/secret',
    '../../../../../../../../etc/passwd',
  ];
  const around: ((path: string) => string)[] = [
    (path) => `${root}/${path}`,
    (path) => `${root}//${path}`,
    (path) => `${root}/./${path}`,
    (path) => `${root}/src/../${path}`,
    (path) => `${root}/./src/.././${path}`,
    (path) => `/./${root}/${path}`,
    (path) => `${root}/${path}/`,
    (path) => `${root}/${path}/.`,
    (path) => `${root}/${path}\0.txt`,
    (path) => path,
  ];
  const absolute = [
    outside,
    `${outside}/secret`,
    `${base}/work-evil/secret`,
    `${root}-evil/secret`,
    root,
    `${root}/`,
    `${root}/.`,
    `${root}/..`,
    '/',
    '',
    '/etc/passwd',
    '/proc/self/environ',
    '/proc/self/cwd/package.json',
    `/proc/self/root${outside}/secret`,
    '/dev/stdin',
    'plain.txt',
    './plain.txt',
    '~/secret',
    `file://${outside}/secret`,
    `C:\\secret`,
    `\\\\host\\share`,
  ];
  return [...escapes.flatMap((path) => around.map((wrap) => wrap(path))), ...absolute];
}

describe('the files of a worktree', () => {
  it('are read and written, whole or by lines, through links that stay inside, too', async () => {
    expect(await files.read(join(root, 'plain.txt'))).toBe('one\ntwo\nthree\n');
    expect(await files.read(join(root, 'own-link'), { line: 2, limit: 1 })).toBe('two\n');
    expect(await files.read(join(root, 'plain.txt'), { line: 3 })).toBe('three\n');
    expect(await files.read(join(root, 'plain.txt'), { limit: 2 })).toBe('one\ntwo\n');
    await files.write(join(root, 'new', 'folder', 'file.txt'), 'hello');
    await files.write(join(root, 'plain.txt'), 'changed');
    expect(await files.read(join(root, 'new/folder/file.txt'))).toBe('hello');
    expect(readFileSync(join(root, 'plain.txt'), 'utf8')).toBe('changed');
    expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('keep their mode when they are written', async () => {
    const script = join(root, 'script.sh');
    writeFileSync(script, 'x', { mode: 0o755 });
    await files.write(script, 'y');
    expect(statSync(script).mode & 0o777).toBe(0o755);
  });

  it('are all that can be reached: over two hundred ways out lead nowhere', async () => {
    const paths = attacks();
    expect(paths.length).toBeGreaterThan(200);
    const before = world();
    for (const path of paths) {
      await expect(files.read(path), `read ${path}`).rejects.toMatchObject(refused);
      await expect(files.write(path, 'overwritten'), `write ${path}`).rejects.toMatchObject(refused);
    }
    expect(world()).toEqual(before);
  });

  it('are all that can be reached, whatever the path is made of', async () => {
    const names = [
      '..',
      '.',
      '',
      'src',
      'linked-directory',
      'link-to-link',
      'up',
      'slash',
      'secret',
      'deep',
      'outside',
      'new',
    ];
    const before = world();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 8 }), async (parts) => {
        const path = `${root}/${parts.join('/')}`;
        const text = await files.read(path).catch(() => '');
        await files.write(path, 'overwritten').catch(() => undefined);
        expect(text).not.toContain(SECRET);
        expect(world()).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });

  it('are those of the directory that was pinned: another one in its place is refused', async () => {
    renameSync(root, `${root}-moved`);
    renameSync(outside, root);
    await expect(files.read(join(root, 'secret'))).rejects.toMatchObject(refused);
    await expect(files.write(join(root, 'secret'), 'x')).rejects.toMatchObject(refused);
    expect(readFileSync(join(root, 'secret'), 'utf8')).toBe(SECRET);
  });

  it.each<[string, () => { place: string; targets?: string[]; folder?: string }]>([
    [
      'a link turns from a folder inside to one outside and back',
      () => {
        const place = join(root, 'turning');
        symlinkSync(join(root, 'src'), place);
        return { place, targets: [join(outside, 'deep'), join(root, 'src')] };
      },
    ],
    [
      'a folder becomes a link out and a folder again',
      () => {
        symlinkSync(join(outside, 'deep'), join(root, 'way-out'));
        return { place: join(root, 'src'), folder: join(root, 'way-out') };
      },
    ],
  ])('are safe while %s, thousands of times', async (_, prepare) => {
    writeFileSync(join(root, 'src', 'secret'), 'harmless');
    const swapping = prepare();
    const before = world();
    const over = new SharedArrayBuffer(4);
    const program = new URL('../../fixtures/programs/swapper.mjs', import.meta.url);
    const worker = new Worker(program, { workerData: { ...swapping, over } });
    const swapped = once(worker, 'message');
    const texts = new Set<string>();
    for (let count = 0; count < 4_000; count += 1) {
      texts.add(await files.read(join(swapping.place, 'secret')).catch(() => 'refused'));
      if (swapping.targets && count % 5 === 0)
        await files.write(join(swapping.place, 'mine'), 'mine').catch(() => undefined);
    }
    Atomics.store(new Int32Array(over), 0, 1);
    const [swaps] = (await swapped) as [number];
    expect(swaps).toBeGreaterThan(1_000);
    expect([...texts].sort()).toEqual(['harmless', 'refused']);
    expect(world()).toEqual(before);
  });
});
