import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DriverEnvironment, Failure, RecoveryReport } from '../../../actors/ports.ts';
import { silentLogger, systemClock } from '../../../actors/defaults/system-clock.ts';
import { ManagedServer } from '../../../adapters/opencode/managed-server.ts';
import { type OpencodeOptions, resolveOptions } from '../../../adapters/opencode/options.ts';

const never = new AbortController().signal;
const refused: Failure = { code: 'ERR_CONFIG_INVALID', message: 'broken' };
let root: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  file = join(root, 'opencode.json');
  writeFileSync(file, '{ "model": ');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** The rungs of a server that is not running. */
function rungs(options: OpencodeOptions) {
  const resolved = resolveOptions({ configFile: file, ...options });
  if ('external' in resolved.server) throw new Error('It is not ours.');
  const environment: DriverEnvironment = {
    backendId: 'code',
    clock: systemClock,
    logger: silentLogger,
    stateDirectory: join(root, 'state'),
    warn: () => undefined,
    pool: { maxWarm: 8, idleTtlMs: 600_000, sweepMs: 60_000 },
    allowNested: false,
  };
  return new ManagedServer(resolved.server.launch, resolved.recovery, environment).recovery;
}

const report = (failure: Failure, attempted: RecoveryReport['attempted'] = ['seed-config']): RecoveryReport => ({
  backendId: 'code',
  failure,
  attempted,
  status: {} as never,
  history: [],
});

describe('the consent to an empty configuration', () => {
  it.each(['yes', 1, {}, null])('is true, and nothing like it: not %j', async (answer) => {
    const recovery = rungs({ recovery: { confirmSeed: () => answer as never } });
    await expect(recovery.seedConfig(report(refused), never)).rejects.toThrow('did not agree');
    expect(readFileSync(file, 'utf8')).toBe('{ "model": ');
  });

  it('is not there where the handler throws, and the reason is told', async () => {
    const confirmSeed = () => {
      throw new Error('no window to ask in');
    };
    await expect(rungs({ recovery: { confirmSeed } }).seedConfig(report(refused), never)).rejects.toThrow(
      'no window to ask in',
    );
  });

  it('is asked for with the file and the reason, and a signal that ends the asking', async () => {
    const asked: unknown[] = [];
    const recovery = rungs({
      recovery: { confirmSeed: (request, { signal }) => asked.push([request, signal.aborted]) > 1 },
    });
    await recovery.seedConfig(report(refused), never).catch(() => undefined);
    expect(asked).toEqual([[{ backend: 'code', path: file, reason: 'broken' }, false]]);
  });
});

describe('the diagnostics', () => {
  it('name variables and not their values, and say which options there are', async () => {
    const recovery = rungs({
      env: { PLAIN: 'canary-plain', SOME_KEY: 'canary-key' },
      password: 'canary-password',
      port: 4096,
    });
    const { path = '' } = await recovery.captureDiagnostics(report(refused));
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain('canary');
    expect(JSON.parse(text)).toMatchObject({
      options: { env: ['PLAIN', 'SOME_KEY'], port: 4096, configFile: file, hasPassword: true },
    });
  });
});

describe('a rollback whose copy of what does not work cannot be kept', () => {
  it('does not happen: nothing is replaced that is not kept', async () => {
    const recovery = rungs({});
    writeFileSync(join(root, 'state'), 'a file where the directory should be');
    await expect(recovery.rollbackConfig(report(refused, ['rollback-config']), never)).rejects.toThrow();
    expect(readFileSync(file, 'utf8')).toBe('{ "model": ');
  });
});
