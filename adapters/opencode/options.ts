import { validRange } from 'semver';
import { messageOf } from '../../actors/errors.ts';
import type { BackendSettings, StreamScope } from '../../actors/ports.ts';
import {
  expectAbsolutePath,
  expectCount,
  expectDuration,
  expectObject,
  expectOneOf,
  expectString,
  expectStrings,
  invalidOption,
  optional,
} from '../../actors/validation.ts';
import {
  duration,
  expectEnvironment,
  expectInheritance,
  type Given,
  type HealthOptions,
  resolveBackoff,
  resolveLife,
  type RestartOptions,
} from '../life-options.ts';
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
  health?: HealthOptions;
  restart?: RestartOptions;
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
  const server = resolveLife(given, {
    label: 'opencode serve',
    readyTimeoutMs: duration(given, 'readyTimeoutMs', 30_000),
    stopLimitMs: stopLimitMs(launch.stopGraceMs) + 1_000,
    when: 'always',
  });
  return { launch, settings: { server, stream: resolveStream(given) } };
}

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

function text<K extends string>(given: Given, name: K): { readonly [P in K]?: string } {
  const value = optional(given[name], (candidate) => expectString(name, candidate));
  return value === undefined ? {} : ({ [name]: value } as { [P in K]: string });
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
