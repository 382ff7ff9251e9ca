import { validRange } from 'semver';
import { messageOf } from '../../actors/errors.ts';
import type { BackendSettings, StreamScope } from '../../actors/ports.ts';
import {
  expectAbsolutePath,
  expectBoolean,
  expectCount,
  expectDuration,
  expectObject,
  expectOneOf,
  expectString,
  expectStrings,
  invalidOption,
  MAX_DELAY_MS,
  optional,
} from '../../actors/validation.ts';
import { stopLimitMs } from '../process/managed-process.ts';

/** Options of `opencode()`. Durations are in milliseconds. */
export interface OpencodeOptions {
  /** The program: a path, or a name looked up in PATH. Default `opencode`. */
  command?: string;
  /** Arguments before `serve`, for launchers. */
  args?: string[];
  /** Variables set for the server, over what it inherits; `undefined` removes one. */
  env?: Record<string, string | undefined>;
  /** The host's whole environment (true, the default), only what a program needs (false), or that and the named variables. */
  inheritEnv?: boolean | string[];
  /** The server's own directory: absolute. Default: the host's. */
  cwd?: string;
  /** Default `127.0.0.1`. */
  hostname?: string;
  /** Default 0: a free one. */
  port?: number;
  /** Default `opencode`. */
  username?: string;
  /** Default: a random one for each process life. */
  password?: string;
  /** An exact version or a semver range that the server must satisfy. */
  version?: string;
  /** opencode's configuration. A project's own file cannot override it. Values that look like keys travel in files of mode 0600. */
  config?: Record<string, unknown>;
  /** Path of a configuration file. A project's own file overrides it: keep permission rules in `config`. */
  configFile?: string;
  /** Time from the launch to a proven server. Default 30_000. */
  readyTimeoutMs?: number;
  /** Time for the graceful part of a stop. Default 5_000. */
  stopGraceMs?: number;
  /** Launches that a start may use before the backoff begins. Default 2. */
  startAttempts?: number;
  health?: {
    /** Default true. */
    enabled?: boolean;
    /** Pause between checks. Default 10_000. */
    intervalMs?: number;
    /** Limit of one check. Default 5_000. */
    timeoutMs?: number;
    /** Failed checks in a row that end an idle server. Default 3. */
    failureThreshold?: number;
    /** How long a busy server may fail its checks. Default 120_000. */
    busyGraceMs?: number;
  };
  restart?: {
    /** `needed`: only while a turn or a caller waits. Default `always`. */
    when?: 'always' | 'needed';
    /** Restarts within the window before it gives up. Default 5. */
    maxRestarts?: number;
    /** Default 180_000. */
    windowMs?: number;
    /** Default { baseMs 500, maxMs 30_000, factor 2, jitter 'full', resetAfterMs 60_000 }. */
    backoff?: { baseMs?: number; maxMs?: number; factor?: number; jitter?: 'none' | 'full'; resetAfterMs?: number };
  };
  stream?: {
    /** Which sessions share one connection. Default `server`. */
    scope?: StreamScope;
    /** Limit for the response and for the first event. Default 10_000. */
    firstEventMs?: number;
    /** Silence that means a stall. Default: 25_000, or 2.5 learned heartbeats where that is more. */
    stallMs?: number;
    /** Default { baseMs 1_000, maxMs 30_000, factor 2, maxAttempts 6, jitter 'none' }. */
    backoff?: { baseMs?: number; maxMs?: number; factor?: number; maxAttempts?: number; jitter?: 'none' | 'full' };
  };
}

/** How the server is launched and spoken to. */
export interface LaunchOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inheritEnv: boolean | readonly string[];
  readonly cwd: string;
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password?: string;
  readonly version?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly configFile?: string;
  readonly stopGraceMs: number;
}

export interface ResolvedOptions {
  readonly launch: LaunchOptions;
  readonly settings: BackendSettings;
}

/** It travels in one variable, and systems bound those: 128 KiB on Linux. */
const MAX_CONFIG_BYTES = 120_000;

const KNOWN = [
  'command',
  'args',
  'env',
  'inheritEnv',
  'cwd',
  'hostname',
  'port',
  'username',
  'password',
  'version',
  'config',
  'configFile',
  'readyTimeoutMs',
  'stopGraceMs',
  'startAttempts',
  'health',
  'restart',
  'stream',
] as const;

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveOptions(options: OpencodeOptions): ResolvedOptions {
  const given = expectObject('opencode()', options, KNOWN);
  const launch = resolveLaunch(given);
  return { launch, settings: { server: resolveServer(given, launch.stopGraceMs), stream: resolveStream(given) } };
}

type Given = Readonly<Record<string, unknown>>;

function resolveLaunch(given: Given): LaunchOptions {
  if (given['config'] !== undefined && given['configFile'] !== undefined) {
    throw invalidOption('opencode()', 'either config or configFile', 'both');
  }
  return {
    command: optional(given['command'], (value) => expectString('command', value)) ?? 'opencode',
    args: optional(given['args'], (value) => expectStrings('args', value)) ?? [],
    env: optional(given['env'], expectEnvironment) ?? {},
    inheritEnv: optional(given['inheritEnv'], expectInheritance) ?? true,
    cwd: optional(given['cwd'], (value) => expectAbsolutePath('cwd', value)) ?? process.cwd(),
    hostname: optional(given['hostname'], (value) => expectString('hostname', value)) ?? '127.0.0.1',
    port: optional(given['port'], (value) => expectCount('port', value, 0, 65_535)) ?? 0,
    username: optional(given['username'], expectUsername) ?? 'opencode',
    stopGraceMs: optional(given['stopGraceMs'], (value) => expectDuration('stopGraceMs', value)) ?? 5_000,
    ...text(given, 'password'),
    ...(given['configFile'] === undefined ? {} : { configFile: expectAbsolutePath('configFile', given['configFile']) }),
    ...(given['version'] === undefined ? {} : { version: expectVersion(given['version']) }),
    ...(given['config'] === undefined ? {} : { config: expectConfig(given['config']) }),
  };
}

function resolveServer(given: Given, stopGraceMs: number): BackendSettings['server'] {
  const health = expectObject('health', given['health'], [
    'enabled',
    'intervalMs',
    'timeoutMs',
    'failureThreshold',
    'busyGraceMs',
  ]);
  const restart = expectObject('restart', given['restart'], ['when', 'maxRestarts', 'windowMs', 'backoff']);
  const enabled = optional(health['enabled'], (value) => expectBoolean('health.enabled', value)) ?? true;
  return {
    label: 'opencode serve',
    readyTimeoutMs: duration(given, 'readyTimeoutMs', 30_000),
    stopLimitMs: Math.min(MAX_DELAY_MS, stopLimitMs(stopGraceMs) + 1_000),
    startAttempts: optional(given['startAttempts'], (value) => expectCount('startAttempts', value, 1)) ?? 2,
    health: {
      intervalMs: enabled ? duration(health, 'intervalMs', 10_000, 'health.') : MAX_DELAY_MS,
      timeoutMs: duration(health, 'timeoutMs', 5_000, 'health.'),
      failureThreshold:
        optional(health['failureThreshold'], (value) => expectCount('health.failureThreshold', value, 1)) ?? 3,
      busyGraceMs: duration(health, 'busyGraceMs', 120_000, 'health.'),
    },
    restart: {
      when: optional(restart['when'], (value) => expectOneOf('restart.when', value, ['always', 'needed'])) ?? 'always',
      maxRestarts: optional(restart['maxRestarts'], (value) => expectCount('restart.maxRestarts', value)) ?? 5,
      windowMs: duration(restart, 'windowMs', 180_000, 'restart.'),
      ...resolveRestartBackoff(restart['backoff']),
    },
  };
}

function resolveRestartBackoff(value: unknown) {
  const given = expectObject('restart.backoff', value, ['baseMs', 'maxMs', 'factor', 'jitter', 'resetAfterMs']);
  return {
    backoff: resolveBackoff(given, 'restart.backoff.', { baseMs: 500, jitter: 'full' }),
    resetAfterMs: duration(given, 'resetAfterMs', 60_000, 'restart.backoff.'),
  };
}

function resolveStream(given: Given): BackendSettings['stream'] {
  const stream = expectObject('stream', given['stream'], ['scope', 'firstEventMs', 'stallMs', 'backoff']);
  const path = 'stream.backoff';
  const backoff = expectObject(path, stream['backoff'], ['baseMs', 'maxMs', 'factor', 'maxAttempts', 'jitter']);
  const scopes = ['server', 'directory', 'session'] as const;
  return {
    scope: optional(stream['scope'], (value) => expectOneOf('stream.scope', value, scopes)) ?? 'server',
    firstEventMs: duration(stream, 'firstEventMs', 10_000, 'stream.'),
    reconcileTimeoutMs: 10_000,
    stallGraceMs: 1_000,
    auditIntervalMs: 30_000,
    retry: {
      ...resolveBackoff(backoff, `${path}.`, { baseMs: 1_000, jitter: 'none' }),
      maxAttempts: optional(backoff['maxAttempts'], (value) => expectCount(`${path}.maxAttempts`, value)) ?? 6,
    },
    ...(stream['stallMs'] === undefined ? {} : { stallMs: expectDuration('stream.stallMs', stream['stallMs']) }),
  };
}

function resolveBackoff(given: Given, path: string, defaults: { baseMs: number; jitter: 'none' | 'full' }) {
  return {
    baseMs: duration(given, 'baseMs', defaults.baseMs, path),
    maxMs: duration(given, 'maxMs', 30_000, path),
    factor: optional(given['factor'], (value) => expectFactor(`${path}factor`, value)) ?? 2,
    jitter:
      optional(given['jitter'], (value) => expectOneOf(`${path}jitter`, value, ['none', 'full'])) ?? defaults.jitter,
  };
}

function duration(given: Given, name: string, fallback: number, path = ''): number {
  return optional(given[name], (value) => expectDuration(`${path}${name}`, value)) ?? fallback;
}

function text<K extends string>(given: Given, name: K): { readonly [P in K]?: string } {
  const value = optional(given[name], (candidate) => expectString(name, candidate));
  return value === undefined ? {} : ({ [name]: value } as { [P in K]: string });
}

function expectFactor(path: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 1)
    throw invalidOption(path, 'a number of at least 1', value);
  return value;
}

function expectVersion(value: unknown): string {
  const range = expectString('version', value);
  if (validRange(range) === null) throw invalidOption('version', 'a version or a semver range', range);
  return range;
}

function expectConfig(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption('config', 'an object', value);
  const { length } = Buffer.from(toJson(value));
  if (length > MAX_CONFIG_BYTES) throw invalidOption('config', `at most ${MAX_CONFIG_BYTES} bytes of JSON`, length);
  return value as Readonly<Record<string, unknown>>;
}

function toJson(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw invalidOption('config', 'what JSON can hold', messageOf(error));
  }
}

/** Basic authentication separates name and password by a colon. */
function expectUsername(value: unknown): string {
  const username = expectString('username', value);
  if (username.includes(':')) throw invalidOption('username', 'a name without a colon', username);
  return username;
}

function expectEnvironment(value: unknown): Readonly<Record<string, string | undefined>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption('env', 'an object', value);
  for (const [name, content] of Object.entries(value)) {
    if (content !== undefined && typeof content !== 'string') throw invalidOption(`env.${name}`, 'a string', content);
  }
  return value as Readonly<Record<string, string | undefined>>;
}

function expectInheritance(value: unknown): boolean | readonly string[] {
  return typeof value === 'boolean' ? value : expectStrings('inheritEnv', value);
}
