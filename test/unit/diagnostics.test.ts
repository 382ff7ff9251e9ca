import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RecoveryReport } from '../../actors/ports.ts';
import { withoutSecrets, writeDiagnostics } from '../../adapters/diagnostics.ts';
import { Redactor } from '../../adapters/process/redaction.ts';

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const report = (backendId: string): RecoveryReport => ({
  backendId,
  failure: { code: 'ERR_BACKEND_EXITED', message: 'password=canary-in-a-message' },
  attempted: ['restart'],
  status: {} as never,
  history: [],
});

describe('diagnostics', () => {
  it('are kept to a number of files for each backend, also where one name begins like the other', async () => {
    const redactor = new Redactor();
    for (let second = 0; second < 4; second += 1)
      for (const id of ['code', 'code-2'])
        await writeDiagnostics({ directory, keep: 2, wallMs: second * 1_000, redactor }, report(id), {});
    const names = readdirSync(join(directory, 'diagnostics')).sort();
    expect(names.map((name) => name.replace(/Z-.*/, 'Z'))).toEqual([
      'code-1970-01-01T00-00-02.000Z',
      'code-1970-01-01T00-00-03.000Z',
      'code-2-1970-01-01T00-00-02.000Z',
      'code-2-1970-01-01T00-00-03.000Z',
    ]);
    expect(statSync(join(directory, 'diagnostics')).mode & 0o777).toBe(0o700);
  });

  it('name the time, the failure, the steps and the versions, and no secret', async () => {
    const redactor = new Redactor();
    redactor.add('canary-that-is-known');
    const details = {
      options: {
        args: [
          '--token',
          'canary-as-argument',
          '--verbose',
          '--github-token=canary-2',
          'http://me:canary-3@host/',
          'X-Token: canary-4',
        ],
        password: 'canary-by-name',
      },
      stderrTail: 'said canary-that-is-known',
    };
    const path = await writeDiagnostics({ directory, keep: 5, wallMs: 0, redactor }, report('a/b c'), details);
    const text = readFileSync(path, 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      capturedAt: '1970-01-01T00:00:00.000Z',
      backendId: 'a/b c',
      attempted: ['restart'],
      versions: { node: process.version },
      options: {
        args: [
          '--token',
          '[redacted]',
          '--verbose',
          '--github-token=[redacted]',
          'http://[redacted]@host/',
          'X-Token: [redacted]',
        ],
        password: '[redacted]',
      },
      stderrTail: 'said [redacted]',
    });
    expect(text).not.toContain('canary');
  });

  it('hold no known secret and no value with the name of one, wherever they stand (any JSON)', () => {
    const secret = 'canary-4711-secret';
    const names = fc.constantFrom(
      'apiKey',
      'password',
      'x-authorization',
      'client_secret',
      'refreshToken',
      'note',
      'list',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        fc.constant(secret),
        fc.string().map((text) => `${text}${secret}${text}`),
        fc.integer(),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(names, tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    const redactor = new Redactor();
    redactor.add(secret);
    fc.assert(
      fc.property(value, (given) => !JSON.stringify(withoutSecrets(given, redactor)).includes(secret)),
      { numRuns: 500 },
    );
    const unknown = fc.oneof(
      fc.constant('unknown-canary'),
      fc.constant(['unknown-canary']),
      fc.constant({ value: 'unknown-canary', more: [{ note: 'unknown-canary' }] }),
    );
    const named = fc.dictionary(fc.constantFrom('apiKey', 'password', 'token'), unknown);
    fc.assert(fc.property(named, (given) => !JSON.stringify(withoutSecrets(given, new Redactor())).includes('canary')));
  });
});
