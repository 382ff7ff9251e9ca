import { describe, expect, it } from 'vitest';
import { opencode } from '../../adapters/opencode/index.ts';
import { optionsFromEnv } from '../../index.ts';

describe('the variables of other supervisors', () => {
  it('become options of opencode(), and what no variable names is absent', () => {
    expect(optionsFromEnv({})).toEqual({});
    const options = optionsFromEnv({
      OPENCODE_BINARY: '/opt/launch',
      OPENCODE_BINARY_ARGS: ' --profile  fast ',
      OPENCODE_HOST: '127.0.0.2',
      OPENCODE_SERVER_PORT: '5551',
      OPENCODE_SERVER_USERNAME: 'me',
      OPENCODE_SERVER_PASSWORD: 'a password',
      OPENCODE_HEALTH_WATCH_ENABLED: '1',
      OPENCODE_HEALTH_POLL_MS: '30000',
      OPENCODE_HEALTH_FAILURE_THRESHOLD: '2',
      HEALTH_CHECK_TIMEOUT_MS: '3000',
      PATH: '/usr/bin',
    });
    expect(options).toEqual({
      command: '/opt/launch',
      args: ['--profile', 'fast'],
      hostname: '127.0.0.2',
      port: 5551,
      username: 'me',
      password: 'a password',
      health: { enabled: true, intervalMs: 30_000, failureThreshold: 2, timeoutMs: 3_000 },
    });
    expect(opencode({ ...options }).mode).toBe('managed');
  });

  it.each([
    [undefined, undefined],
    ['1', true],
    ['0', undefined],
    ['', undefined],
    [' ', undefined],
    ['true', true],
    ['false', true],
    [' 0 ', true],
  ])('OPENCODE_ORCHESTRATOR_MANAGED=%j means nested: %j', (value, nested) => {
    expect(optionsFromEnv({ OPENCODE_ORCHESTRATOR_MANAGED: value }).nested).toBe(nested);
  });

  it.each([
    [{ OPENCODE_HEALTH_WATCH_ENABLED: 'true' }, true],
    [{ OPENCODE_HEALTH_WATCH_ENABLED: 'yes' }, false],
    [{ OPENCODE_HEALTH_WATCH_ENABLED: '0' }, false],
    [{ NODE_ENV: 'test' }, false],
    [{ NODE_ENV: 'test', OPENCODE_HEALTH_WATCH_ENABLED: '1' }, true],
    [{ NODE_ENV: 'production' }, undefined],
  ])('%j means that health is watched: %j', (env, enabled) => {
    expect(optionsFromEnv(env).health?.enabled).toBe(enabled);
  });

  it.each([
    [
      { OPENCODE_HEALTH_POLL_MS: 'often' },
      'OPENCODE_HEALTH_POLL_MS: expected a whole number from 1 to 2147483647, got "often"',
    ],
    [{ OPENCODE_HEALTH_POLL_MS: '0' }, 'OPENCODE_HEALTH_POLL_MS: expected'],
    [{ OPENCODE_HEALTH_FAILURE_THRESHOLD: '1.5' }, 'OPENCODE_HEALTH_FAILURE_THRESHOLD: expected'],
    [{ OPENCODE_SERVER_PORT: '70000' }, 'OPENCODE_SERVER_PORT: expected a whole number from 0 to 65535'],
    [
      { OPENCODE_BINARY_ARGS: 'x' },
      'OPENCODE_BINARY: expected the launcher that OPENCODE_BINARY_ARGS are arguments of, got undefined',
    ],
    [
      { OPENCODE_BINARY_ARGS: 'x', OPENCODE_BINARY: ' ' },
      'OPENCODE_BINARY: expected a program, since OPENCODE_BINARY_ARGS are given',
    ],
  ])('%j is refused, and the message says which and why', (env, message) => {
    expect(() => optionsFromEnv(env)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
    expect(() => optionsFromEnv(env)).toThrow(message);
  });
});
