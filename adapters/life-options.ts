import type { LifeSettings } from '../actors/ports.ts';
import {
  expectBoolean,
  expectCount,
  expectDuration,
  expectObject,
  expectOneOf,
  expectStrings,
  invalidOption,
  MAX_DELAY_MS,
  optional,
} from '../actors/validation.ts';

export type Given = Readonly<Record<string, unknown>>;

/** How the health of a process is checked and judged. Durations are in milliseconds. */
export interface HealthOptions {
  /** Default true. */
  enabled?: boolean;
  /** Pause between checks. Default 10_000. */
  intervalMs?: number;
  /** Limit of one check. Default 5_000. */
  timeoutMs?: number;
  /** Failed checks in a row that end an idle process. Default 3. */
  failureThreshold?: number;
  /** How long a busy process may fail its checks. Default 120_000. */
  busyGraceMs?: number;
}

/** How a process is brought back, and when it is given up. Durations are in milliseconds. */
export interface RestartOptions {
  /** `needed`: only while a turn or a caller waits. Default `always` for a server, `needed` for an agent. */
  when?: 'always' | 'needed';
  /** Restarts within the window before it gives up. Default 5. */
  maxRestarts?: number;
  /** Default 180_000. */
  windowMs?: number;
  /** Default { baseMs 500, maxMs 30_000, factor 2, jitter 'full', resetAfterMs 60_000 }. */
  backoff?: { baseMs?: number; maxMs?: number; factor?: number; jitter?: 'none' | 'full'; resetAfterMs?: number };
}

/** Nothing is held that could be gone back to. */
const RESTART_ONLY: Pick<LifeSettings['recovery'], 'steps' | 'provenAfterMs'> = {
  steps: ['restart'],
  provenAfterMs: MAX_DELAY_MS,
};

/** The settings of process lives that every kind of backend has. Throws `ERR_INVALID_OPTION`. */
export function resolveLife(
  given: Given,
  fixed: {
    readonly label: string;
    readonly readyTimeoutMs: number;
    readonly stopLimitMs: number;
    readonly when: 'always' | 'needed';
    readonly mode?: LifeSettings['mode'];
    readonly recovery?: Pick<LifeSettings['recovery'], 'steps' | 'provenAfterMs'>;
  },
): LifeSettings {
  const { label, readyTimeoutMs, stopLimitMs, when, mode = 'managed', recovery = RESTART_ONLY } = fixed;
  return {
    label,
    mode,
    readyTimeoutMs,
    stopLimitMs: Math.min(MAX_DELAY_MS, stopLimitMs),
    startAttempts: optional(given['startAttempts'], (value) => expectCount('startAttempts', value, 1)) ?? 2,
    health: resolveHealth(given['health']),
    restart: resolveRestart(given['restart'], when),
    recovery: { ...recovery, stepLimitMs: 10_000, consentLimitMs: 300_000 },
  };
}

function resolveHealth(value: unknown): LifeSettings['health'] {
  const known = ['enabled', 'intervalMs', 'timeoutMs', 'failureThreshold', 'busyGraceMs'];
  const health = expectObject('health', value, known);
  const enabled = optional(health['enabled'], (given) => expectBoolean('health.enabled', given)) ?? true;
  return {
    intervalMs: enabled ? duration(health, 'intervalMs', 10_000, 'health.') : MAX_DELAY_MS,
    timeoutMs: duration(health, 'timeoutMs', 5_000, 'health.'),
    failureThreshold:
      optional(health['failureThreshold'], (given) => expectCount('health.failureThreshold', given, 1)) ?? 3,
    busyGraceMs: duration(health, 'busyGraceMs', 120_000, 'health.'),
  };
}

function resolveRestart(value: unknown, when: 'always' | 'needed'): LifeSettings['restart'] {
  const restart = expectObject('restart', value, ['when', 'maxRestarts', 'windowMs', 'backoff']);
  const known = ['baseMs', 'maxMs', 'factor', 'jitter', 'resetAfterMs'];
  const backoff = expectObject('restart.backoff', restart['backoff'], known);
  return {
    when: optional(restart['when'], (given) => expectOneOf('restart.when', given, ['always', 'needed'])) ?? when,
    maxRestarts: optional(restart['maxRestarts'], (given) => expectCount('restart.maxRestarts', given)) ?? 5,
    windowMs: duration(restart, 'windowMs', 180_000, 'restart.'),
    backoff: resolveBackoff(backoff, 'restart.backoff.', { baseMs: 500, jitter: 'full' }),
    resetAfterMs: duration(backoff, 'resetAfterMs', 60_000, 'restart.backoff.'),
  };
}

export function resolveBackoff(given: Given, path: string, defaults: { baseMs: number; jitter: 'none' | 'full' }) {
  return {
    baseMs: duration(given, 'baseMs', defaults.baseMs, path),
    maxMs: duration(given, 'maxMs', 30_000, path),
    factor: optional(given['factor'], (value) => expectFactor(`${path}factor`, value)) ?? 2,
    jitter:
      optional(given['jitter'], (value) => expectOneOf(`${path}jitter`, value, ['none', 'full'])) ?? defaults.jitter,
  };
}

export function duration(given: Given, name: string, fallback: number, path = ''): number {
  return optional(given[name], (value) => expectDuration(`${path}${name}`, value)) ?? fallback;
}

function expectFactor(path: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 1)
    throw invalidOption(path, 'a number of at least 1', value);
  return value;
}

export function expectEnvironment(value: unknown): Readonly<Record<string, string | undefined>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption('env', 'an object', value);
  for (const [name, content] of Object.entries(value)) {
    if (content !== undefined && typeof content !== 'string') throw invalidOption(`env.${name}`, 'a string', content);
  }
  return value as Readonly<Record<string, string | undefined>>;
}

export function expectInheritance(value: unknown): boolean | readonly string[] {
  return typeof value === 'boolean' ? value : expectStrings('inheritEnv', value);
}
