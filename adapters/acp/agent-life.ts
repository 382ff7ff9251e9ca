import type { Writable } from 'node:stream';
import { SupervisorError, toFailure } from '../../actors/errors.ts';
import type {
  AgentLife,
  AgentLifeObserver,
  BackendSession,
  Clock,
  DriverEnvironment,
  DriverSession,
  DriverSessionRequest,
  Failure,
} from '../../actors/ports.ts';
import { childEnvironment } from '../process/environment.ts';
import { ManagedProcess, type ProcessEnd } from '../process/managed-process.ts';
import { expectNotNested, isSupervisedChild } from '../process/nesting.ts';
import { PrivateDirectory } from '../process/private-directory.ts';
import { Redactor, PRIVATE_NAME } from '../process/redaction.ts';
import { holdRecord, type RecordHold } from '../process/registry.ts';
import { nextChildMark } from '../process/run-identity.ts';
import { processesDirectory } from '../state-directory.ts';
import { Conversation } from './conversation.ts';
import { expectDirectory } from './directory.ts';
import type { AcpLaunch } from './options.ts';

const STDERR_TAIL = 2_000;

/** One process life of an agent, from the spawn to the last process it started. */
export class AcpLife implements AgentLife {
  readonly #launch: AcpLaunch;
  readonly #observer: AgentLifeObserver;
  readonly #clock: Clock;
  readonly #environment: DriverEnvironment;
  readonly #redactor = new Redactor();
  readonly #files = new PrivateDirectory();
  readonly #directory: string;
  readonly #gone: Promise<void>;
  #process: ManagedProcess | undefined;
  #conversation: Conversation | undefined;
  #record: RecordHold | undefined;
  #isAbandoned = false;
  #broken: Failure | undefined;
  #lastSeenAt = Number.NEGATIVE_INFINITY;

  constructor(launch: AcpLaunch, directory: string, environment: DriverEnvironment, observer: AgentLifeObserver) {
    this.#launch = launch;
    this.#environment = environment;
    this.#directory = launch.cwd ?? directory;
    this.#clock = environment.clock;
    this.#observer = observer;
    this.#gone = this.#run();
  }

  lastSeenAt(): number {
    return this.#conversation?.isHeldUp === true ? this.#clock.now() : this.#lastSeenAt;
  }

  get isConnected(): boolean {
    return this.#conversation?.isOpen === true;
  }

  stop(): void {
    this.#isAbandoned = true;
    const politely = async () => {
      this.#process?.input?.end();
      await this.#gone;
    };
    void this.#process?.stop({ politely, graceMs: this.#launch.stopGraceMs });
  }

  kill(): void {
    this.#isAbandoned = true;
    void this.#process?.kill();
  }

  async release(): Promise<void> {
    this.kill();
    await this.#gone;
  }

  handshake(signal: AbortSignal): Promise<{ version: string | null }> {
    return this.#conversing().handshake(signal);
  }

  probe(signal: AbortSignal): Promise<void> {
    return this.#conversing().probe(signal);
  }

  openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession> {
    return this.#conversing().openSession(request, signal);
  }

  listSessions(directory: string, signal: AbortSignal): Promise<BackendSession[]> {
    return this.#conversing().listSessions(directory, signal);
  }

  restoreSession(session: DriverSession, signal: AbortSignal): Promise<'restored' | 'replaced'> {
    return this.#conversing().restoreSession(session, signal);
  }

  #conversing(): Conversation {
    if (this.#conversation) return this.#conversation;
    throw new SupervisorError('ERR_BACKEND_EXITED', 'The agent is not running.', { reason: 'unreachable' });
  }

  /** Never rejects: whatever happens, the life ends with one `ended`. */
  async #run(): Promise<void> {
    const end = await this.#live().catch((error: unknown) => toFailure(error, 'ERR_SPAWN_FAILED'));
    await this.#conversation?.end();
    await this.#files.remove();
    this.#record?.release(); // Its terminals have ended with the conversation.
    const failure = 'survivors' in end ? this.#failureOf(end) : end;
    const message = this.#redactor.redact(failure.message);
    const stderrTail = this.#process?.stderrTail(STDERR_TAIL) ?? '';
    const survivors = 'survivors' in end ? end.survivors : [];
    this.#observer.ended({ failure: { ...failure, message }, stderrTail, survivors });
  }

  async #live(): Promise<ProcessEnd | Failure> {
    const { allowNested, stateDirectory } = this.#environment;
    expectNotNested(this.#launch.command, { allowNested, nested: isSupervisedChild() });
    await expectDirectory(this.#directory);
    this.#record = await holdRecord({ ...this.#environment, directory: processesDirectory(stateDirectory) });
    if (this.#isAbandoned) return { code: 'ERR_STOPPED', message: 'The start was abandoned.' };
    const { command, args, inheritEnv } = this.#launch;
    const env = { ...this.#launch.env, ...this.#writeFiles() };
    const mark = nextChildMark();
    const process = new ManagedProcess({
      command,
      args,
      cwd: this.#directory,
      env: childEnvironment({ inheritEnv, env, never: [], mark }),
      mark,
      redactor: this.#redactor,
      hasInput: true,
      onOutput: (chunk) => this.#conversation?.receive(chunk),
      onExit: () => void this.#conversation?.end(),
      onEnd: () => undefined,
    });
    this.#process = process;
    if (process.pid !== undefined && process.input) {
      this.#conversation = this.#converse(process, process.input);
      this.#observer.spawned(process.pid);
    }
    return process.gone;
  }

  /** The variables that name the files. */
  #writeFiles(): Record<string, string> {
    const files = Object.entries(this.#launch.files);
    return Object.fromEntries(files.map(([name, content]) => [name, this.#files.write(name.toLowerCase(), content)]));
  }

  #converse(process: ManagedProcess, input: Writable): Conversation {
    const { fileAccess, authMethod, terminals, mcpServers } = this.#launch;
    return new Conversation({
      input,
      flow: (isRead) => process.flow(isRead),
      isAlive: () => !process.isDead,
      hasFiles: fileAccess === 'worktree',
      terminalEnvironment: terminals ? this.#terminalEnvironment() : undefined,
      mcpServers,
      authMethod,
      onBytes: () => (this.#lastSeenAt = this.#clock.now()),
      onBroken: (reason) => this.#break(reason),
    });
  }

  /** What the agent itself has, without what its names tell to be secrets. */
  #terminalEnvironment(): Readonly<Record<string, string>> {
    const { inheritEnv, env } = this.#launch;
    const own = childEnvironment({ inheritEnv, env, never: [], mark: '' });
    return Object.fromEntries(Object.entries(own).filter(([name]) => !PRIVATE_NAME.test(name)));
  }

  /** It cannot be understood any more: the next life may be. */
  #break(reason: string): void {
    this.#broken = { code: 'ERR_PROTOCOL', message: `"${this.#launch.command}" sent ${reason}, and was ended.` };
    void this.#process?.kill();
  }

  #failureOf({ error, code, signal }: ProcessEnd): Failure {
    const { command } = this.#launch;
    if (this.#broken) return this.#broken;
    if (error) {
      const reason = error.code ?? 'unknown';
      const hint =
        reason === 'ENOENT' ? 'It was not found: install it, or give its absolute path as `command`.' : error.message;
      return { code: 'ERR_SPAWN_FAILED', reason, message: `"${command}" could not be started (${reason}). ${hint}` };
    }
    const how = signal === null ? `with code ${code ?? 'unknown'}` : `by signal ${signal}`;
    const when = this.#conversation?.isReady === true ? '' : ' before it was ready';
    return {
      code: when === '' ? 'ERR_BACKEND_EXITED' : 'ERR_EXITED_BEFORE_READY',
      message: `"${command}" ended ${how}${when}`,
    };
  }
}
