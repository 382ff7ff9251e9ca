import { RUN_VARIABLE } from './run-identity.ts';

/** How a child's environment is made. */
export interface EnvironmentOptions {
  /** Everything of the host, nothing of it, or the named variables. */
  readonly inheritEnv: boolean | readonly string[];
  /** Set last, over what was inherited. `undefined` removes a variable. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Never inherited, whatever `inheritEnv` says. */
  readonly never: readonly string[];
  readonly mark: string;
}

/** A child without these does not find its programs, its home or its temporary directory. */
const NEEDED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'SHELL', 'USER', 'SystemRoot', 'USERPROFILE', 'APPDATA', 'TEMP'];

/** The whole environment of a child. */
export function childEnvironment({ inheritEnv, env, never, mark }: EnvironmentOptions): Record<string, string> {
  const merged = { ...inherited(inheritEnv, never), ...env, [RUN_VARIABLE]: mark };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function inherited(inheritEnv: boolean | readonly string[], never: readonly string[]): NodeJS.ProcessEnv {
  if (inheritEnv === false) return pick(NEEDED);
  const all = inheritEnv === true ? { ...process.env } : pick([...NEEDED, ...inheritEnv]);
  for (const name of never) Reflect.deleteProperty(all, name);
  return all;
}

function pick(names: readonly string[]): NodeJS.ProcessEnv {
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}
