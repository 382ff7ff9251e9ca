import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { toFailure } from '../../actors/errors.ts';
import { invalidOption } from '../../actors/validation.ts';
import type { DriverEnvironment, Failure, LifeObserver, ProcessLife } from '../../actors/ports.ts';
import { childEnvironment } from '../process/environment.ts';
import { freePort } from '../process/free-port.ts';
import { ManagedProcess, type ProcessEnd } from '../process/managed-process.ts';
import { expectNotNested, isSupervisedChild } from '../process/nesting.ts';
import { PRIVATE_NAME, Redactor } from '../process/redaction.ts';
import { holdRecord, type RecordHold } from '../process/registry.ts';
import { nextChildMark } from '../process/run-identity.ts';
import { processesDirectory } from '../state-directory.ts';
import type { HeldConfig, LaunchConfig } from './config/held-config.ts';
import { NEVER_INHERITED, PrivateConfig, secretsIn, serveArguments, serveEnvironment } from './launch-plan.ts';
import { portOf } from './external-options.ts';
import { resolveCommand } from './launcher.ts';
import type { LaunchOptions } from './options.ts';
import { ask, clientFor, type ServerAddress } from './requests.ts';

/** The line that says that the server listens, and where. */
const READY_LINE = /opencode server listening(?: on (\S+))?/;

/** How the system names an address that is not of this machine. */
const NOT_OURS: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL']);

/** How much of the error output an error message carries, in characters. */
const STDERR_TAIL = 2_000;

export interface ServerLifePlan {
  readonly options: LaunchOptions;
  readonly environment: DriverEnvironment;
  /** Who holds the configuration of this life. */
  readonly held: Pick<HeldConfig, 'load' | 'owns'>;
  readonly generation: number;
  readonly observer: LifeObserver;
}

/** One process life of `opencode serve`, from the choice of a port to the last process it started. */
export class ServerLife implements ProcessLife {
  readonly generation: number;
  readonly redactor = new Redactor();
  readonly #plan: ServerLifePlan;
  readonly #options: LaunchOptions;
  readonly #observer: LifeObserver;
  readonly #abandoned = new AbortController();
  readonly #gone: Promise<void>;
  readonly #password: string;
  #command = 'opencode';
  #port = 0;
  #baseUrl: string | undefined;
  #process: ManagedProcess | undefined;
  #config: LaunchConfig | undefined;
  #private: PrivateConfig | undefined;
  #record: RecordHold | undefined;
  #over = false;

  constructor(plan: ServerLifePlan) {
    const { options } = plan;
    this.#plan = plan;
    this.generation = plan.generation;
    this.#options = options;
    this.#observer = plan.observer;
    this.#password = options.password ?? randomBytes(32).toString('base64url');
    this.redactor.add(this.#password);
    this.#gone = this.#run();
  }

  /** How the server is reached, once it listens. */
  get address(): ServerAddress | undefined {
    if (this.#baseUrl === undefined) return undefined;
    return { baseUrl: this.#baseUrl, username: this.#options.username, password: this.#password };
  }

  /** The configuration that it works with, once that is known. */
  get config(): LaunchConfig | undefined {
    return this.#config;
  }

  /** It works with this configuration from now on. */
  reconfigured(config: LaunchConfig): void {
    this.#config = config;
    for (const secret of secretsIn(config.content)) this.redactor.add(secret);
  }

  /** The program that was started. */
  get command(): string {
    return this.#command;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The process exists and has not exited. */
  get isAlive(): boolean {
    return this.#process !== undefined && !this.#over;
  }

  /** The last characters of the error output, without secrets. */
  stderrTail(length: number): string {
    return this.#process?.stderrTail(length) ?? '';
  }

  stop(): void {
    this.#abandoned.abort();
    const politely = (signal: AbortSignal) => this.#dispose(signal);
    void this.#process?.stop({ politely, graceMs: this.#options.stopGraceMs });
  }

  kill(): void {
    this.#abandoned.abort();
    void this.#process?.kill();
  }

  async release(): Promise<void> {
    this.kill();
    await this.#gone;
  }

  /** Never rejects: whatever happens, the life ends with one `ended`. */
  async #run(): Promise<void> {
    const { failure, survivors } = await this.#live().catch((error: unknown) => ({
      failure: toFailure(error, 'ERR_SPAWN_FAILED'),
      survivors: [],
    }));
    this.#over = true;
    await this.#private?.remove();
    this.#record?.release();
    const message = this.redactor.redact(failure.message);
    const stderrTail = this.stderrTail(STDERR_TAIL);
    this.#observer.ended({ failure: { ...failure, message }, stderrTail, survivors });
  }

  async #live(): Promise<{ failure: Failure; survivors: readonly number[] }> {
    await this.#prepare();
    if (this.#abandoned.signal.aborted) return { failure: abandoned(), survivors: [] };
    const end = await this.#spawn();
    const failure = this.#baseUrl === undefined ? this.#startFailure(end) : exitFailure(end);
    return { failure, survivors: end.survivors };
  }

  async #prepare(): Promise<void> {
    const { environment } = this.#plan;
    const { allowNested, stateDirectory } = environment;
    expectNotNested('opencode serve', { allowNested, nested: this.#options.nested ?? isSupervisedChild() });
    await expectDirectory(this.#options.cwd);
    this.#record = await holdRecord({ ...environment, directory: processesDirectory(stateDirectory) });
    this.#command = await resolveCommand(this.#options);
    this.#port = this.#options.port === 0 ? await portOn(this.#options.hostname) : this.#options.port;
    this.reconfigured(await this.#plan.held.load()); // As late as can be: it may still change.
    if (this.#config?.object) this.#private = new PrivateConfig(this.#config.object, this.redactor);
    if (!this.#abandoned.signal.aborted) this.#observer.prepared(this.#port, this.#config?.id ?? null);
  }

  #spawn(): Promise<ProcessEnd> {
    const { cwd, inheritEnv } = this.#options;
    const mark = nextChildMark();
    const { allowNested } = this.#plan.environment;
    const configContent = this.#private?.content;
    const set = serveEnvironment(this.#options, { password: this.#password, configContent, allowNested });
    const env = childEnvironment({ inheritEnv, env: set, never: NEVER_INHERITED, mark });
    for (const [name, value] of Object.entries(env)) if (PRIVATE_NAME.test(name)) this.redactor.add(value);
    const started = new ManagedProcess({
      command: this.#command,
      args: serveArguments(this.#options, this.#port),
      cwd,
      env,
      mark,
      redactor: this.redactor,
      onLine: (line) => this.#onLine(line),
      onEnd: () => undefined,
    });
    this.#process = started;
    if (started.pid !== undefined) this.#observer.spawned(started.pid);
    return started.gone;
  }

  #onLine(line: string): void {
    const match = READY_LINE.exec(line);
    if (!match || this.#baseUrl !== undefined) return;
    if (match[1] !== undefined && URL.canParse(match[1])) this.#port = portOf(new URL(match[1]));
    this.#baseUrl = `http://${reachable(this.#options.hostname)}:${this.#port}`;
    this.#observer.listening(this.#port);
  }

  /** [opencode] The server's own stop: it ends turns and tools, which no signal does. */
  async #dispose(signal: AbortSignal): Promise<void> {
    if (!this.address) return;
    const client = clientFor(this.address);
    await ask('POST /global/dispose', signal, (options) => client.global.dispose(options), this.#options.stopGraceMs);
  }

  #startFailure(end: ProcessEnd): Failure {
    if (end.error) return spawnFailure(this.#command, end.error);
    const stderr = this.stderrTail(STDERR_TAIL);
    const path = refusedConfig(stderr);
    if (path !== undefined) return configRefusal(path, this.#plan.held.owns(path));
    const how = end.signal === null ? `code ${end.code ?? 'unknown'}` : `signal ${end.signal}`;
    const message = `opencode serve exited before ready (${how}); stderr: ${stderr}`;
    const isPortTaken = /ServeError|EADDRINUSE/.test(stderr);
    if (!isPortTaken || this.#options.port === 0) {
      const reason = isPortTaken ? 'port-taken' : end.signal === null ? 'exit-code' : 'signal';
      return { code: 'ERR_EXITED_BEFORE_READY', reason, message };
    }
    const hint = `Port ${this.#options.port} may be taken: choose another, or 0 for a free one.`;
    return { code: 'ERR_EXITED_BEFORE_READY', reason: 'fixed-port-taken', message: `${message}. ${hint}` };
  }
}

async function expectDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw invalidOption('cwd', 'an existing directory', `${found ? 'a file' : 'nothing'} at ${path}`);
}

/**
 * [opencode] With a broken configuration of the user's own, beside that of a project, the server does not even start. What
 * it says then names the file, and repeats what is in it.
 */
function refusedConfig(stderr: string): string | undefined {
  const match = /Config file at (.+) is not valid JSON|Configuration is invalid at (.+?)(?:: |$)/m.exec(stderr);
  return match?.[1] ?? match?.[2];
}

function configRefusal(path: string, isOwn: boolean): Failure {
  const message = `opencode serve exited before ready: it does not accept the configuration ${path}. Correct it and try again.`;
  return { code: 'ERR_CONFIG_INVALID', reason: isOwn ? 'own-config' : 'foreign-config', message };
}

async function portOn(hostname: string): Promise<number> {
  try {
    return await freePort(hostname);
  } catch (error) {
    if (!NOT_OURS.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    throw invalidOption('hostname', 'an address of this machine', hostname);
  }
}

/** A wildcard address is where the server listens, not where it is reached. */
function reachable(hostname: string): string {
  if (hostname === '0.0.0.0') return '127.0.0.1';
  return hostname.includes(':') ? `[${hostname}]` : hostname;
}

function abandoned(): Failure {
  return { code: 'ERR_STOPPED', message: 'The start was abandoned.' };
}

function exitFailure({ code, signal }: ProcessEnd): Failure {
  const how = signal === null ? `with code ${code ?? 'unknown'}` : `by signal ${signal}`;
  return { code: 'ERR_BACKEND_EXITED', message: `opencode serve ended ${how}` };
}

const SPAWN_HINTS: Readonly<Record<string, string>> = {
  ENOENT: 'It was not found: install it, or give its absolute path as `command`.',
  EACCES: 'It may not be executed: check its permissions.',
  ENOEXEC: 'It is not a program for this machine.',
};

function spawnFailure(command: string, error: NodeJS.ErrnoException): Failure {
  const reason = error.code ?? 'unknown';
  const message = `"${command}" could not be started (${reason}). ${SPAWN_HINTS[reason] ?? error.message}`;
  return { code: 'ERR_SPAWN_FAILED', reason, message };
}
