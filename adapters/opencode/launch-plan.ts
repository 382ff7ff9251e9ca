import { PrivateDirectory } from '../process/private-directory.ts';
import { PRIVATE_NAME, type Redactor, SECRET_NAME } from '../process/redaction.ts';
import type { LaunchOptions } from './options.ts';

/** Set for the server, and never inherited from a host that itself runs under opencode. */
export const NEVER_INHERITED = [
  'OPENCODE',
  'OPENCODE_PID',
  'OPENCODE_PROCESS_ROLE',
  'OPENCODE_RUN_ID',
  'OPENCODE_SERVER_PASSWORD',
  'OPENCODE_SERVER_USERNAME',
];

/** Tells other supervisors of opencode that they run inside of one. */
const MANAGED = 'OPENCODE_ORCHESTRATOR_MANAGED';

/** What refers to a variable or a file, somewhere in it, is no secret. */
const REFERENCE = /\{(env|file):/;

export function serveArguments({ args, hostname }: LaunchOptions, port: number): readonly string[] {
  return [...args, 'serve', '--hostname', hostname, '--port', String(port)];
}

/** The variables that make the server ours. */
export function serveEnvironment(
  options: LaunchOptions,
  secrets: {
    readonly password: string;
    readonly configContent: string | undefined;
    readonly allowNested: boolean;
  },
): Record<string, string | undefined> {
  return {
    ...options.env,
    ...(options.configFile === undefined ? {} : { OPENCODE_CONFIG: options.configFile }),
    ...(secrets.configContent === undefined ? {} : { OPENCODE_CONFIG_CONTENT: secrets.configContent }),
    OPENCODE_SERVER_USERNAME: options.username,
    OPENCODE_SERVER_PASSWORD: secrets.password,
    [MANAGED]: secrets.allowNested ? undefined : '1',
  };
}

/**
 * A configuration as the server's environment may carry it: tools see that environment, so secrets are put in files that
 * the configuration refers to. The files are the owner's only, and go with the process life.
 */
export class PrivateConfig {
  readonly content: string;
  readonly #redactor: Redactor;
  readonly #files = new PrivateDirectory();
  #secrets = 0;

  constructor(config: Readonly<Record<string, unknown>>, redactor: Redactor) {
    this.#redactor = redactor;
    try {
      this.content = JSON.stringify(this.#conceal(config, ''));
    } catch (error) {
      void this.remove();
      throw error;
    }
  }

  /** Removes the files at once, and resolves when nothing watches over them any more. */
  remove(): Promise<void> {
    return this.#files.remove();
  }

  #conceal(value: unknown, name: string): unknown {
    if (typeof value === 'string') return SECRET_NAME.test(name) && !REFERENCE.test(value) ? this.#hide(value) : value;
    if (Array.isArray(value)) return value.map((item) => this.#conceal(item, name));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#conceal(item, key)]));
  }

  #hide(secret: string): string {
    this.#redactor.add(secret);
    this.#secrets += 1;
    return `{file:${this.#files.write(`secret-${this.#secrets}`, secret)}}`;
  }
}

/** `"apiKey": "…"` in a configuration, however broken it is. */
const NAMED_VALUE = /["']?([\w.-]+)["']?\s*:\s*(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)')/g;

/** The values in a configuration that have the name of a secret. */
export function secretsIn(content: Uint8Array): readonly string[] {
  const text = Buffer.from(content).toString('utf8');
  const named = [...text.matchAll(NAMED_VALUE)].map(([, name = '', double, single]) => ({
    name,
    value: decoded(double ?? single ?? ''),
  }));
  return [
    ...named.filter(({ name }) => PRIVATE_NAME.test(name)).map(({ value }) => value),
    ...listed(parsed(text), ''),
  ].filter((value) => !REFERENCE.test(value));
}

/** All strings below a name of a secret. */
function listed(value: unknown, name: string): readonly string[] {
  if (typeof value === 'string') return PRIVATE_NAME.test(name) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item) => listed(item, name));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => listed(item, PRIVATE_NAME.test(name) ? name : key));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // It may be broken, or have comments: what looks like a secret was found already.
  }
}

/** As a program would print it. */
function decoded(value: string): string {
  const text = parsed(`"${value}"`);
  return typeof text === 'string' ? text : value;
}
