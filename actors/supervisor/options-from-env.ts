import { invalidOption, MAX_DELAY_MS } from '../validation.ts';

/** Options of `opencode()`, as variables of other supervisors give them. What no variable names is absent. */
export interface EnvironmentOptions {
  command?: string;
  args?: string[];
  hostname?: string;
  port?: number;
  username?: string;
  password?: string;
  /** This process runs inside a supervised child itself. */
  nested?: boolean;
  health?: { enabled?: boolean; intervalMs?: number; timeoutMs?: number; failureThreshold?: number };
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the variables that other supervisors of opencode know, for `opencode({ ...optionsFromEnv(process.env) })`. This
 * library reads none of them by itself.
 *
 * `OPENCODE_BINARY`, `OPENCODE_BINARY_ARGS` (words, for launchers), `OPENCODE_HOST`, `OPENCODE_SERVER_PORT`,
 * `OPENCODE_SERVER_USERNAME`, `OPENCODE_SERVER_PASSWORD`, `OPENCODE_HEALTH_WATCH_ENABLED` (`true` or `1`; where absent, false
 * under `NODE_ENV=test`), `OPENCODE_HEALTH_POLL_MS`, `HEALTH_CHECK_TIMEOUT_MS`, `OPENCODE_HEALTH_FAILURE_THRESHOLD`, and
 * `OPENCODE_ORCHESTRATOR_MANAGED` (set, neither `0` nor blank: this process is supervised itself).
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for what is no number where one is expected, and for arguments without a program.
 */
export function optionsFromEnv(env: Environment): EnvironmentOptions {
  const health = withoutAbsent({
    enabled: watchEnabled(env),
    intervalMs: whole(env, 'OPENCODE_HEALTH_POLL_MS', 1, MAX_DELAY_MS),
    timeoutMs: whole(env, 'HEALTH_CHECK_TIMEOUT_MS', 1, MAX_DELAY_MS),
    failureThreshold: whole(env, 'OPENCODE_HEALTH_FAILURE_THRESHOLD', 1, Number.MAX_SAFE_INTEGER),
  });
  return withoutAbsent({
    ...launcher(env),
    hostname: given(env, 'OPENCODE_HOST'),
    port: whole(env, 'OPENCODE_SERVER_PORT', 0, 65_535),
    username: given(env, 'OPENCODE_SERVER_USERNAME'),
    password: env['OPENCODE_SERVER_PASSWORD'] === '' ? undefined : env['OPENCODE_SERVER_PASSWORD'],
    nested: isManaged(env['OPENCODE_ORCHESTRATOR_MANAGED']) ? true : undefined,
    health: Object.keys(health).length > 0 ? health : undefined,
  });
}

function launcher(env: Environment): { command: string | undefined; args: string[] | undefined } {
  const command = env['OPENCODE_BINARY']?.trim();
  const args = env['OPENCODE_BINARY_ARGS']?.trim();
  if (args && command === undefined)
    throw invalidOption('OPENCODE_BINARY', 'the launcher that OPENCODE_BINARY_ARGS are arguments of', command);
  if (args && command === '')
    throw invalidOption(
      'OPENCODE_BINARY',
      'a program, since OPENCODE_BINARY_ARGS are given',
      'nothing but white space',
    );
  return { command: command === '' ? undefined : command, args: args ? args.split(/\s+/) : undefined };
}

function watchEnabled(env: Environment): boolean | undefined {
  const value = given(env, 'OPENCODE_HEALTH_WATCH_ENABLED');
  if (value === undefined) return env['NODE_ENV'] === 'test' ? false : undefined;
  return value === 'true' || value === '1';
}

/** Anything but `0` and white space, also `false`. */
const isManaged = (value: string | undefined): boolean => value !== undefined && value !== '0' && value.trim() !== '';

function given(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
}

function whole(env: Environment, name: string, minimum: number, maximum: number): number | undefined {
  const value = given(env, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= minimum && number <= maximum) return number;
  throw invalidOption(name, `a whole number from ${minimum} to ${maximum}`, value);
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutAbsent<T extends object>(options: T): Present<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Present<T>;
}
