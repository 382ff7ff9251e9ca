import { expectMcpServers } from '../../actors/mcp-server-shape.ts';
import type { AgentPoolSettings, McpServer } from '../../actors/ports.ts';
import {
  expectAbsolutePath,
  expectBoolean,
  expectDuration,
  expectObject,
  expectOneOf,
  expectString,
  expectStrings,
  MAX_DELAY_MS,
  optional,
} from '../../actors/validation.ts';
import {
  duration,
  expectEnvironment,
  expectInheritance,
  type HealthOptions,
  resolveLife,
  type RestartOptions,
} from '../life-options.ts';
import { stopLimitMs } from '../process/managed-process.ts';

/** Options of `acp()`. Durations are in milliseconds. */
export interface AcpOptions {
  /** The program: a path, or a name looked up in PATH. */
  command: string;
  /** Arguments that make it speak the Agent Client Protocol on its standard streams. */
  args?: string[];
  /** Variables set for the agent, over what it inherits; `undefined` removes one. */
  env?: Record<string, string | undefined>;
  /** The host's whole environment (true, the default), only what a program needs (false), or that and the named variables. */
  inheritEnv?: boolean | string[];
  /** The agent's own directory: absolute. Default: that of the session. */
  cwd?: string;
  /** Whether each conversation has a process of its own, or those of a directory share one. Default `session`. */
  share?: 'session' | 'directory';
  /** Limit of the handshake. Default 15_000. */
  initializeTimeoutMs?: number;
  /** Limit of opening the sessions of an agent. Default 30_000. */
  requestTimeoutMs?: number;
  /** Time for the graceful part of a stop. Default 5_000. */
  stopGraceMs?: number;
  /** Launches that a start may use before the backoff begins. Default 2. */
  startAttempts?: number;
  health?: HealthOptions;
  restart?: RestartOptions;
  /**
   * Whether the agent may read and write the files of its session's directory through this library: `worktree`, the
   * default, confines that to plain files inside. It does not confine an agent that has tools of its own: see the README.
   */
  fileAccess?: 'worktree' | 'none';
  /**
   * Whether the agent may run commands through this library, in its session's directory: processes that end with the
   * session, in the agent's environment without its secrets. They are not confined to the directory. Default false.
   */
  terminals?: boolean;
  /** MCP servers for every session, beside its own; of two with the same name the session's is taken. */
  mcpServers?: McpServer[];
  /** How to log in, by the id that the agent offers. Default: as the agent is configured. */
  authMethod?: string;
}

/** How an agent is launched and spoken to. */
export interface AcpLaunch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly inheritEnv: boolean | readonly string[];
  readonly cwd: string | undefined;
  readonly stopGraceMs: number;
  readonly authMethod: string | undefined;
  readonly fileAccess: 'worktree' | 'none';
  readonly terminals: boolean;
  readonly mcpServers: readonly McpServer[];
  /** Files that the agent is to read: by the variable that names each. */
  readonly files: Readonly<Record<string, string>>;
}

/** Time for a spawn, in milliseconds. */
const SPAWN_MS = 5_000;

const KNOWN = [
  'command',
  'args',
  'env',
  'inheritEnv',
  'cwd',
  'share',
  'initializeTimeoutMs',
  'requestTimeoutMs',
  'stopGraceMs',
  'startAttempts',
  'health',
  'restart',
  'fileAccess',
  'terminals',
  'mcpServers',
  'authMethod',
] as const;

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveAcp(
  options: AcpOptions,
  files: Readonly<Record<string, string>> = {},
): { launch: AcpLaunch; settings: AgentPoolSettings } {
  const given = expectObject('acp()', options, KNOWN);
  const stopGraceMs = optional(given['stopGraceMs'], (value) => expectDuration('stopGraceMs', value)) ?? 5_000;
  const command = expectString('command', given['command']);
  const launch = {
    command,
    args: optional(given['args'], (value) => expectStrings('args', value)) ?? [],
    env: optional(given['env'], expectEnvironment) ?? {},
    inheritEnv: optional(given['inheritEnv'], expectInheritance) ?? true,
    cwd: optional(given['cwd'], (value) => expectAbsolutePath('cwd', value)),
    stopGraceMs,
    authMethod: optional(given['authMethod'], (value) => expectString('authMethod', value)),
    fileAccess:
      optional(given['fileAccess'], (value) => expectOneOf('fileAccess', value, ['worktree', 'none'])) ?? 'worktree',
    terminals: optional(given['terminals'], (value) => expectBoolean('terminals', value)) ?? false,
    mcpServers: optional(given['mcpServers'], expectMcpServers) ?? [],
    files,
  };
  const handshakeTimeoutMs = duration(given, 'initializeTimeoutMs', 15_000);
  const openTimeoutMs = duration(given, 'requestTimeoutMs', 30_000);
  const life = resolveLife(given, {
    label: command,
    readyTimeoutMs: Math.min(MAX_DELAY_MS, handshakeTimeoutMs + openTimeoutMs + SPAWN_MS),
    stopLimitMs: stopLimitMs(stopGraceMs) + 1_000,
    when: 'needed',
  });
  const share = optional(given['share'], (value) => expectOneOf('share', value, ['session', 'directory'])) ?? 'session';
  return { launch, settings: { share, life: { ...life, handshakeTimeoutMs, openTimeoutMs } } };
}
