import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { opencodeBinary } from '../fixtures/opencode-binary.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
let project: string;
let world: OpencodeWorld;

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-project-'));
  world = await OpencodeWorld.create();
});
afterAll(async () => {
  rmSync(project, { recursive: true, force: true });
  await world.remove();
});

it('runs the README’s quickstart from the packed tarball in an empty project', async () => {
  const { stdout: packed } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], {
    cwd: root,
  });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], { cwd: project });
  const [, quickstart = ''] =
    /```js quickstart\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  writeFileSync(join(project, 'quickstart.mjs'), quickstart);
  const { stdout } = await run(process.execPath, ['quickstart.mjs'], { cwd: project, env: hostEnvironment() });
  expect(stdout).toContain('code: idle → starting (start requested)');
  expect(stdout).toContain('You said: Say hello.');
  expect(stdout).toContain("outcome: 'completed'");
  expect(stdout).toContain('code: stopping → idle');
});

/** A host with `opencode` in its PATH, configured for the scripted model. */
function hostEnvironment(): NodeJS.ProcessEnv {
  const bin = join(project, 'bin');
  mkdirSync(bin);
  symlinkSync(opencodeBinary(), join(bin, 'opencode'));
  const { env } = world.options();
  return {
    ...env,
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(world.config()),
  };
}
