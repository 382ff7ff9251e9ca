import { messageOf } from '../../actors/errors.ts';
import type { BackendSettings } from '../../actors/ports.ts';
import {
  expectAbsolutePath,
  expectBoolean,
  expectCount,
  expectDuration,
  expectObject,
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
  resolveLife,
  type RestartOptions,
} from '../life-options.ts';
import { stopLimitMs } from '../process/managed-process.ts';
import {
  type ExternalOptions,
  expectNoLaunch,
  expectUsername,
  expectVersion,
  resolveExternal,
} from './external-options.ts';
import { type RecoveryOptions, type ResolvedRecovery, resolveRecovery } from './recovery-options.ts';
import { resolveStream, type StreamOptions } from './stream-options.ts';

/** Options of `opencode()`. Durations are in milliseconds. */
export interface OpencodeOptions {
  /**
   * The program: a path, or a name looked up in PATH. Default: with an exact `version` and a `cwd`, that directory's
   * `.opencode/bin/opencode-v<version>` where it is there; else `opencode`.
   */
  command?: string;
  /** Arguments before `serve`, for launchers. */
  args?: string[];
  /** Variables set for the server, over what it inherits; `undefined` removes one. */
  env?: Record<string, string | undefined>;
  /** The host's whole environment (true, the default), only what a program needs (false), or that and the named variables. */
  inheritEnv?: boolean | string[];
  /** The server's own directory: absolute. Default: the host's. Of a server at `url`: one that it is to answer for. */
  cwd?: string;
  /** Default `127.0.0.1`. */
  hostname?: string;
  /** Default 0: a free one. */
  port?: number;
  /**
   * The address of a server that somebody else runs: `http://127.0.0.1:4096`. It is connected to and asked, never started,
   * signalled or ended. Nothing that is about starting one may be given beside it.
   */
  url?: string;
  /** Default `opencode`. */
  username?: string;
  /** Default: a random one for each process life; of a server at `url`: none. */
  password?: string;
  /** An exact version or a semver range that the server must satisfy. */
  version?: string;
  /** Take a server whose version is known to run commands for whoever asks: before 1.0.216. Default false. */
  allowVulnerable?: boolean;
  /** Whether this host runs inside a supervised child itself. Default: whether it carries the mark of one. */
  nested?: boolean;
  /** Share of a model's context at which a host should compact: over 0, up to 1. The lease tells it. Default 0.8. */
  compactionThreshold?: number;
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
  recovery?: RecoveryOptions;
  stream?: StreamOptions;
}

/** How the server is launched and spoken to. */
export interface LaunchOptions {
  readonly command: string | undefined;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inheritEnv: boolean | readonly string[];
  readonly cwd: string;
  /** `cwd` was chosen, and is not only where the host happens to be. */
  readonly isOwnDirectory: boolean;
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password?: string;
  readonly version?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly configFile?: string;
  readonly stopGraceMs: number;
  readonly allowVulnerable: boolean;
  readonly nested: boolean | undefined;
}

export interface ResolvedOptions {
  /** A server of ours, or one that somebody else runs. */
  readonly server: { readonly launch: LaunchOptions } | { readonly external: ExternalOptions };
  readonly settings: BackendSettings;
  readonly recovery: ResolvedRecovery;
  readonly compactionThreshold: number;
}

/** It travels in one variable, and systems bound those: 128 KiB on Linux. */
const MAX_CONFIG_BYTES = 120_000;

const KNOWN = [
  'command',
  'args',
  'env',
  'inheritEnv',
  'cwd',
  'url',
  'hostname',
  'port',
  'username',
  'password',
  'version',
  'allowVulnerable',
  'nested',
  'compactionThreshold',
  'config',
  'configFile',
  'readyTimeoutMs',
  'stopGraceMs',
  'startAttempts',
  'health',
  'restart',
  'recovery',
  'stream',
] as const;

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveOptions(options: OpencodeOptions): ResolvedOptions {
  const given = expectObject('opencode()', options, KNOWN);
  const recovery = resolveRecovery(given['recovery']);
  const stream = resolveStream(given['stream']);
  const compactionThreshold = optional(given['compactionThreshold'], expectShare) ?? 0.8;
  const readyTimeoutMs = duration(given, 'readyTimeoutMs', 30_000);
  if (given['url'] !== undefined) {
    expectNoLaunch(given);
    const external = resolveExternal(given);
    const { baseUrl: label, port: knownPort } = external;
    const fixed = { label, readyTimeoutMs, stopLimitMs: 1_000, when: 'always', mode: 'external' } as const;
    return {
      server: { external },
      settings: { server: { ...resolveLife(given, fixed), knownPort }, stream },
      recovery,
      compactionThreshold,
    };
  }
  const launch = resolveLaunch(given);
  const server = resolveLife(given, {
    label: 'opencode serve',
    readyTimeoutMs,
    stopLimitMs: stopLimitMs(launch.stopGraceMs) + 1_000,
    when: 'always',
    recovery,
  });
  return { server: { launch }, settings: { server, stream }, recovery, compactionThreshold };
}

function resolveLaunch(given: Given): LaunchOptions {
  if (given['config'] !== undefined && given['configFile'] !== undefined) {
    throw invalidOption('opencode()', 'either config or configFile', 'both');
  }
  return {
    command: optional(given['command'], (value) => expectString('command', value)),
    args: optional(given['args'], (value) => expectStrings('args', value)) ?? [],
    env: optional(given['env'], expectEnvironment) ?? {},
    inheritEnv: optional(given['inheritEnv'], expectInheritance) ?? true,
    cwd: optional(given['cwd'], (value) => expectAbsolutePath('cwd', value)) ?? process.cwd(),
    isOwnDirectory: given['cwd'] !== undefined,
    hostname: optional(given['hostname'], (value) => expectString('hostname', value)) ?? '127.0.0.1',
    port: optional(given['port'], (value) => expectCount('port', value, 0, 65_535)) ?? 0,
    username: optional(given['username'], expectUsername) ?? 'opencode',
    stopGraceMs: optional(given['stopGraceMs'], (value) => expectDuration('stopGraceMs', value)) ?? 5_000,
    allowVulnerable: optional(given['allowVulnerable'], (value) => expectBoolean('allowVulnerable', value)) ?? false,
    nested: optional(given['nested'], (value) => expectBoolean('nested', value)),
    ...text(given, 'password'),
    ...(given['configFile'] === undefined ? {} : { configFile: expectAbsolutePath('configFile', given['configFile']) }),
    ...(given['version'] === undefined ? {} : { version: expectVersion(given['version']) }),
    ...(given['config'] === undefined ? {} : { config: expectConfig(given['config']) }),
  };
}

function text<K extends string>(given: Given, name: K): { readonly [P in K]?: string } {
  const value = optional(given[name], (candidate) => expectString(name, candidate));
  return value === undefined ? {} : ({ [name]: value } as { [P in K]: string });
}

/** A configuration as the host gives it. Throws `ERR_INVALID_OPTION`. */
export function expectConfig(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption('config', 'an object', value);
  const { length } = Buffer.from(toJson(value));
  if (length > MAX_CONFIG_BYTES) throw invalidOption('config', `at most ${MAX_CONFIG_BYTES} bytes of JSON`, length);
  return value as Readonly<Record<string, unknown>>;
}

function expectShare(value: unknown): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  throw invalidOption('compactionThreshold', 'a number over 0 and up to 1', value);
}

function toJson(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw invalidOption('config', 'what JSON can hold', messageOf(error));
  }
}
