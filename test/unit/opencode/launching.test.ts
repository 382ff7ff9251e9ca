import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { expectVersion } from '../../../adapters/opencode/accepted-version.ts';
import { opencode, type OpencodeOptions } from '../../../adapters/opencode/index.ts';
import { NEVER_INHERITED, secretsIn, serveEnvironment } from '../../../adapters/opencode/launch-plan.ts';
import { childEnvironment } from '../../../adapters/process/environment.ts';
import { resolveCommand } from '../../../adapters/opencode/launcher.ts';
import { type LaunchOptions, resolveOptions } from '../../../adapters/opencode/options.ts';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

function launchOf(options: OpencodeOptions): LaunchOptions {
  const { server } = resolveOptions(options);
  if ('external' in server) throw new Error('It is not ours.');
  return server.launch;
}

function ownProgram(version: string, mode = 0o755): string {
  const path = join(root, '.opencode', 'bin', `opencode-v${version}`);
  mkdirSync(join(root, '.opencode', 'bin'), { recursive: true });
  writeFileSync(path, '');
  chmodSync(path, mode);
  return path;
}

describe('the program that is started', () => {
  it('is looked up in PATH by its name, taken as it is where its path is absolute, and begins at cwd otherwise', async () => {
    expect(await resolveCommand(launchOf({}))).toBe('opencode');
    expect(await resolveCommand(launchOf({ command: 'oc', cwd: root }))).toBe('oc');
    expect(await resolveCommand(launchOf({ command: '/opt/oc', cwd: root }))).toBe('/opt/oc');
    expect(await resolveCommand(launchOf({ command: './node_modules/.bin/oc', cwd: root }))).toBe(
      join(root, 'node_modules/.bin/oc'),
    );
  });

  it("is the project's own where an exact version and the directory were chosen, and it can be executed", async () => {
    const own = ownProgram('1.18.33');
    expect(await resolveCommand(launchOf({ cwd: root, version: '1.18.33' }))).toBe(own);
    expect(await resolveCommand(launchOf({ cwd: root, version: 'v1.18.33' }))).toBe(own);
    expect(await resolveCommand(launchOf({ cwd: root, version: '^1.18.0' }))).toBe('opencode');
    expect(await resolveCommand(launchOf({ cwd: root, version: '1.18.34' }))).toBe('opencode');
    expect(await resolveCommand(launchOf({ cwd: root }))).toBe('opencode');
    expect(await resolveCommand(launchOf({ cwd: root, version: '1.18.33', command: 'mine' }))).toBe('mine');
    const host = vi.spyOn(process, 'cwd').mockReturnValue(root); // Where the host happens to be is nobody's choice.
    expect(await resolveCommand(launchOf({ version: '1.18.33' }))).toBe('opencode');
    host.mockRestore();
    ownProgram('1.18.33', 0o644);
    expect(await resolveCommand(launchOf({ cwd: root, version: '1.18.33' }))).toBe('opencode');
  });
});

describe('the version of a server', () => {
  const rules = (version?: string, allowVulnerable = false) => ({
    allowVulnerable,
    ...(version === undefined ? {} : { version }),
  });

  it.each<[string, string | undefined]>([
    ['1.18.33', undefined],
    ['1.18.33', '1.18.33'],
    [' v1.18.33 ', '1.18.33'],
    ['1.18.33', '>=1.18'],
    ['1.19.0-beta.1', '^1.18.0'],
    ['1.0.216', undefined],
    ['0.0.0-dev-202601010000', undefined],
    ['local', undefined],
  ])('%j is taken where %j is asked for', (told, range) => {
    expect(() => expectVersion(told, rules(range), 'it')).not.toThrow();
  });

  it.each<[string, string | undefined, string]>([
    ['1.18.34', '1.18.33', 'it is version 1.18.34; expected 1.18.33'],
    ['', '1.18.33', 'it is version unknown; expected 1.18.33'],
    ['local', '1.18.33', 'it is version local; expected 1.18.33'],
    ['1.0.215', undefined, 'CVE-2026-22812'],
    ['1.0.137', '1.0.137', 'set `allowVulnerable: true`'],
    ['1.0', undefined, 'CVE-2026-22812'],
    ['', undefined, 'it is version unknown'],
  ])('%j is refused where %j is asked for', (told, range, message) => {
    expect(() => expectVersion(told, rules(range), 'it')).toThrow(message);
  });

  it('that is known to be unsafe is taken where the host insists', () => {
    expect(() => expectVersion('1.0.215', rules(undefined, true), 'it')).not.toThrow();
  });
});

describe('options of a server that somebody else runs', () => {
  const refused = (options: OpencodeOptions) => {
    try {
      opencode(options);
      return 'taken';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('may not be mixed with what starts one of ours', () => {
    expect(refused({ url: 'http://h:1', command: 'x', port: 1, recovery: {} })).toContain(
      'got "url and command, port, recovery"',
    );
  });

  it.each([
    ['ftp://h', 'an address such as http://127.0.0.1:4096, got "ftp://h"'],
    ['nonsense', 'an address such as'],
    ['http://me:canary@h:1', '`username` and `password` are options'],
    ['ftp://me:canary@h', 'an address such as'],
    ['http://h:1/?auth_token=canary', 'an address alone'],
  ])('do not take %s as an address, and do not repeat what may be secret', (url, message) => {
    expect(refused({ url })).toContain(message);
    expect(refused({ url })).not.toContain('canary');
  });

  it.each([
    ['http://127.0.0.1:4096/', 'http://127.0.0.1:4096', 4096],
    ['https://example.test', 'https://example.test', 443],
    ['http://example.test/opencode/', 'http://example.test/opencode', 80],
  ])('read %s as %s, port %i', (url, baseUrl, port) => {
    expect(resolveOptions({ url }).server).toMatchObject({ external: { baseUrl, port } });
  });

  it.each<[OpencodeOptions, string]>([
    [{ compactionThreshold: 0 }, 'compactionThreshold: expected a number over 0 and up to 1'],
    [{ compactionThreshold: 1.1 }, 'compactionThreshold'],
    [
      { recovery: { steps: ['pray' as never] } },
      'recovery.steps[0]: expected one of restart, capture-diagnostics, rollback-config, seed-config',
    ],
    [{ recovery: { keepArchives: 0 } }, 'recovery.keepArchives: expected a whole number of at least 1'],
    [{ recovery: { confirmSeed: 'yes' as never } }, 'recovery.confirmSeed: expected a function'],
    [{ recovery: { provenAfterMs: 0 } }, 'recovery.provenAfterMs'],
  ])('%j is refused, and the message says why', (options, message) => {
    expect(refused(options)).toContain(message);
  });
});

describe('the environment of a server', () => {
  it('has what is ours, whatever the host has and the options say', () => {
    for (const name of NEVER_INHERITED) vi.stubEnv(name, 'of the host');
    const options = launchOf({
      env: { OPENCODE_SERVER_PASSWORD: 'theirs', OPENCODE_ORCHESTRATOR_MANAGED: '0', MINE: 'yes' },
    });
    const set = serveEnvironment(options, { password: 'ours', configContent: '{}', allowNested: false });
    const env = childEnvironment({ inheritEnv: true, env: set, never: NEVER_INHERITED, mark: 'run:1' });
    vi.unstubAllEnvs();
    expect(env).toMatchObject({
      MINE: 'yes',
      OPENCODE_CONFIG_CONTENT: '{}',
      OPENCODE_ORCHESTRATOR_MANAGED: '1',
      OPENCODE_SERVER_PASSWORD: 'ours',
      OPENCODE_SERVER_USERNAME: 'opencode',
    });
    for (const name of ['OPENCODE', 'OPENCODE_PID', 'OPENCODE_PROCESS_ROLE', 'OPENCODE_RUN_ID'])
      expect(env).not.toHaveProperty(name);
  });
});

describe('the secrets in a configuration', () => {
  const found = (text: string) => [...new Set(secretsIn(Buffer.from(text)))];

  it('are found by their names, however broken it is, and references are none', () => {
    const broken = `{ "provider": {"x": {"options": {"apiKey": "sk-canary", "api_key":"{env:KEY}" } privateKey: 'pk-canary', "token" : "t\\"q" , model: oops`;
    expect(found(broken)).toEqual(['sk-canary', 'pk-canary', 't"q']);
  });

  it('are found wherever they stand below such a name, as a program would print them', () => {
    expect(found('{ "tokens": ["one", { "a": "two" }], "url": "x", "passwd": "a\\/b", "note": "no" }')).toEqual([
      'a/b',
      'one',
      'two',
    ]);
  });
});
