import type { PoolOptions, SupervisorOptions, TurnOptions } from '../contract/supervisor.ts';
import type { PermissionHandler, QuestionHandler } from '../contract/session.ts';
import type { Clock, Logger } from '../contract/supervisor.ts';
import type { SessionStore } from '../contract/store.ts';
import { memoryStore } from '../defaults/memory-store.ts';
import { silentLogger, systemClock } from '../defaults/system-clock.ts';
import type { BackendDefinition } from '../ports.ts';
import { safeLogger } from '../safe-logger.ts';
import {
  expectAbsolutePath,
  expectBoolean,
  expectCount,
  expectDuration,
  expectFunction,
  expectObject,
  invalidOption,
  optional,
} from '../validation.ts';

/** The supervisor's options, complete. */
export interface ResolvedSupervisorOptions {
  readonly backends: Readonly<Record<string, BackendDefinition>>;
  readonly onPermission: PermissionHandler | undefined;
  readonly onQuestion: QuestionHandler | undefined;
  readonly pool: Required<PoolOptions>;
  readonly turn: Required<TurnOptions>;
  readonly openTimeoutMs: number;
  readonly store: SessionStore;
  readonly stateDirectory: string | undefined;
  readonly allowNested: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

const KNOWN = [
  'backends',
  'onPermission',
  'onQuestion',
  'pool',
  'turn',
  'openTimeoutMs',
  'store',
  'stateDirectory',
  'allowNested',
  'logger',
  'clock',
  'random',
] as const;
const TURN_OPTIONS = [
  'inactivityTimeoutMs',
  'deadlineMs',
  'cancelTimeoutMs',
  'decisionTimeoutMs',
  'maxQueued',
  'maxBufferedEvents',
  'maxTextBytes',
] as const;

const MIB = 1024 * 1024;

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveSupervisorOptions(options: SupervisorOptions): ResolvedSupervisorOptions {
  const given = expectObject('createSupervisor()', options, KNOWN);
  for (const name of ['onPermission', 'onQuestion', 'random'] as const) {
    optional(given[name], (value) => expectFunction(name, value));
  }
  return {
    backends: expectBackends(given['backends']),
    onPermission: options.onPermission,
    onQuestion: options.onQuestion,
    pool: resolvePoolOptions(given['pool']),
    turn: resolveTurnOptions(given['turn']),
    openTimeoutMs: optional(given['openTimeoutMs'], (value) => expectDuration('openTimeoutMs', value)) ?? 60_000,
    store: optional(options.store, expectStore) ?? memoryStore(),
    stateDirectory: optional(given['stateDirectory'], (value) => expectAbsolutePath('stateDirectory', value)),
    allowNested: optional(given['allowNested'], (value) => expectBoolean('allowNested', value)) ?? false,
    logger: safeLogger(optional(options.logger, expectLogger) ?? silentLogger),
    clock: optional(options.clock, expectClock) ?? systemClock,
    random: options.random ?? Math.random, // eslint-disable-line no-restricted-properties -- the default itself
  };
}

function resolvePoolOptions(value: unknown): Required<PoolOptions> {
  const given = expectObject('pool', value, ['maxWarm', 'idleTtlMs', 'sweepMs', 'maxWaiting']);
  const whole = <T>(name: string, check: (path: string, candidate: unknown) => T) =>
    optional(given[name], (candidate) => check(`pool.${name}`, candidate));
  return {
    maxWarm: whole('maxWarm', (path, count) => expectCount(path, count, 1)) ?? 8,
    idleTtlMs: whole('idleTtlMs', expectDuration) ?? 600_000,
    sweepMs: whole('sweepMs', expectDuration) ?? 60_000,
    maxWaiting: whole('maxWaiting', expectCount) ?? 64,
  };
}

function resolveTurnOptions(value: unknown): Required<TurnOptions> {
  const given = expectObject('turn', value, TURN_OPTIONS);
  const duration = (name: (typeof TURN_OPTIONS)[number], fallback: number) =>
    optional(given[name], (candidate) => expectDuration(`turn.${name}`, candidate)) ?? fallback;
  const count = (name: (typeof TURN_OPTIONS)[number], fallback: number, minimum: number) =>
    optional(given[name], (candidate) => expectCount(`turn.${name}`, candidate, minimum)) ?? fallback;
  return {
    inactivityTimeoutMs: duration('inactivityTimeoutMs', 300_000),
    deadlineMs: duration('deadlineMs', 3_600_000),
    cancelTimeoutMs: duration('cancelTimeoutMs', 15_000),
    decisionTimeoutMs: duration('decisionTimeoutMs', 300_000),
    maxQueued: count('maxQueued', 32, 0),
    maxBufferedEvents: count('maxBufferedEvents', 10_000, 1),
    maxTextBytes: count('maxTextBytes', 8 * MIB, 1),
  };
}

function expectBackends(value: unknown): Readonly<Record<string, BackendDefinition>> {
  if (typeof value !== 'object' || value === null) throw invalidOption('backends', 'an object of backends', value);
  const backends = value as Readonly<Record<string, BackendDefinition | undefined>>;
  if (Object.keys(backends).length === 0) throw invalidOption('backends', 'at least one backend', 'none');
  for (const [id, definition] of Object.entries(backends)) {
    if (typeof definition?.createDriver === 'function') continue;
    throw invalidOption(`backends.${id}`, 'what opencode() or its like returns', definition);
  }
  return backends as Readonly<Record<string, BackendDefinition>>;
}

function expectClock(value: unknown): Clock {
  const clock = expectGiven('clock', value);
  for (const name of ['now', 'wallNow', 'setTimeout', 'clearTimeout']) expectFunction(`clock.${name}`, clock[name]);
  return value as Clock;
}

function expectStore(value: unknown): SessionStore {
  const store = expectGiven('store', value);
  for (const name of ['open', 'get', 'put', 'delete', 'list', 'close']) expectFunction(`store.${name}`, store[name]);
  return value as SessionStore;
}

function expectGiven(path: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw invalidOption(path, 'an object', value);
  return value as Readonly<Record<string, unknown>>;
}

function expectLogger(value: unknown): Logger {
  const logger = expectGiven('logger', value);
  for (const level of ['debug', 'info', 'warn', 'error']) expectFunction(`logger.${level}`, logger[level]);
  return value as Logger;
}
