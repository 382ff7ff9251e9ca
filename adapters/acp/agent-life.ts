import { stat } from 'node:fs/promises';
import { client, type ClientConnection, methods, PROTOCOL_VERSION, RequestError } from '@agentclientprotocol/sdk';
import { messageOf, SupervisorError, toFailure } from '../../actors/errors.ts';
import type {
  AgentLife,
  AgentLifeObserver,
  Clock,
  DriverSession,
  DriverSessionRequest,
  Failure,
  McpServer,
} from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { hasCapability } from './capabilities.ts';
import { type JsonFields, list, record, text } from '../json.ts';
import { childEnvironment } from '../process/environment.ts';
import { ManagedProcess, type ProcessEnd } from '../process/managed-process.ts';
import { PrivateDirectory } from '../process/private-directory.ts';
import { Redactor } from '../process/redaction.ts';
import { nextChildMark } from '../process/run-identity.ts';
import { INVALID_PARAMS, requestError } from './failures.ts';
import type { AcpLaunch } from './options.ts';
import { CANCELLED } from './permission.ts';
import { AcpSession } from './session.ts';
import { Wire } from './wire.ts';
import type { WorktreeFiles } from './worktree-files.ts';

const STDERR_TAIL = 2_000;
/** A method that no agent has: its refusal is the proof of life. */
const PROBE_METHOD = '_agent-supervisor/ping';

/** One process life of an agent, from the spawn to the last process it started. */
export class AcpLife implements AgentLife {
  readonly #launch: AcpLaunch;
  readonly #observer: AgentLifeObserver;
  readonly #clock: Clock;
  readonly #redactor = new Redactor();
  readonly #files = new PrivateDirectory();
  readonly #directory: string;
  readonly #sessions = new Map<string, AcpSession>();
  readonly #gone: Promise<void>;
  readonly #onCapabilities: (capabilities: JsonFields) => void;
  #process: ManagedProcess | undefined;
  #wire: Wire | undefined;
  #connection: ClientConnection | undefined;
  #capabilities: JsonFields = {};
  #authMethods: readonly string[] = [];
  #isAbandoned = false;
  #lastSeenAt = Number.NEGATIVE_INFINITY;

  constructor(
    launch: AcpLaunch,
    directory: string,
    clock: Clock,
    observer: AgentLifeObserver,
    onCapabilities: (capabilities: JsonFields) => void,
  ) {
    this.#launch = launch;
    this.#directory = launch.cwd ?? directory;
    this.#clock = clock;
    this.#observer = observer;
    this.#onCapabilities = onCapabilities;
    this.#gone = this.#run();
  }

  lastSeenAt(): number {
    return this.#lastSeenAt;
  }

  get isConnected(): boolean {
    return this.#wire?.isOpen === true;
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

  async handshake(signal: AbortSignal): Promise<{ version: string | null }> {
    const hasFiles = this.#launch.fileAccess === 'worktree';
    const request = {
      protocolVersion: PROTOCOL_VERSION,
      clientInfo: { name: 'agent-supervisor', version: '0.1.0' },
      clientCapabilities: { fs: { readTextFile: hasFiles, writeTextFile: hasFiles }, terminal: false },
    };
    const answer = record(await this.#ask('initialize', methods.agent.initialize, request, signal));
    if (answer['protocolVersion'] !== PROTOCOL_VERSION) {
      const message = `The agent speaks version ${String(answer['protocolVersion'])} of the protocol; expected ${PROTOCOL_VERSION}.`;
      throw new SupervisorError('ERR_VERSION_MISMATCH', message);
    }
    this.#capabilities = record(answer['agentCapabilities']);
    this.#authMethods = list(answer['authMethods']).map((method) => text(record(method)['id']) ?? '');
    this.#onCapabilities(this.#capabilities);
    const { authMethod: methodId } = this.#launch;
    if (methodId !== undefined) await this.#ask('authenticate', methods.agent.authenticate, { methodId }, signal);
    return { version: text(record(answer['agentInfo'])['version']) ?? null };
  }

  async probe(signal: AbortSignal): Promise<void> {
    const { agent } = this.#line();
    await agent.request(PROBE_METHOD, {}, until(signal)).catch((error: unknown) => {
      if (!(error instanceof RequestError)) throw error; // Any answer is one.
    });
  }

  async openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession> {
    const session = new AcpSession(request);
    await expectDirectory(request.directory);
    await session.files.pin();
    session.check({ ...request, blocks: [] });
    if (request.resume === undefined) await this.#create(session, signal);
    else if (!(await this.#continue(session, request.resume, signal)))
      throw new SupervisorError('ERR_SESSION_NOT_FOUND', `The agent does not know the session ${request.resume}.`);
    session.restored = request.resume !== undefined;
    await session.choose({ blocks: [] }, signal);
    return session;
  }

  async restoreSession(session: DriverSession, signal: AbortSignal): Promise<'restored' | 'replaced'> {
    if (!(session instanceof AcpSession)) throw new Error('A session of another kind of agent.');
    const isContinued = await this.#continue(session, session.agentSessionId, signal);
    if (!isContinued) await this.#create(session, signal);
    await session.choose({ blocks: [] }, signal);
    return isContinued || !session.hasHistory ? 'restored' : 'replaced';
  }

  async #create(session: AcpSession, signal: AbortSignal): Promise<void> {
    const { directory: cwd, mcpServers = [] } = session.request;
    const answer = record(
      await this.#ask(
        'session/new',
        methods.agent.session.new,
        { cwd, mcpServers: mcpServers.map(toAcpServer) },
        signal,
      ),
    );
    this.#opened(session, text(answer['sessionId']) ?? '', answer);
  }

  /** Continues a session of an earlier life, where the agent can: `false` where it cannot, or has forgotten it. */
  async #continue(session: AcpSession, sessionId: string, signal: AbortSignal): Promise<boolean> {
    const { directory: cwd, mcpServers = [] } = session.request;
    const request = { sessionId, cwd, mcpServers: mcpServers.map(toAcpServer) };
    if (hasCapability(this.#capabilities, 'resume')) {
      const resumed = await this.#tryTo(methods.agent.session.resume, request, signal);
      if (resumed) this.#opened(session, sessionId, resumed);
      if (resumed) return true;
    }
    if (this.#capabilities['loadSession'] !== true) return false;
    this.#sessions.set(sessionId, session);
    session.replayed = 0;
    const loaded = await this.#tryTo(methods.agent.session.load, request, signal);
    const { replayed } = session;
    session.replayed = undefined;
    this.#sessions.delete(sessionId);
    const isEmpty = replayed === 0 && session.hasHistory; // [qwen] Any id can be loaded: an unknown one is an empty session.
    if (!loaded || isEmpty) return false;
    this.#opened(session, sessionId, loaded);
    return true;
  }

  /** `undefined` where the agent refuses; what it advertises and does not have is no failure. */
  async #tryTo(method: string, request: object, signal: AbortSignal): Promise<JsonFields | undefined> {
    try {
      return record(await this.#line().agent.request(method, request, until(signal)));
    } catch (error) {
      if (error instanceof RequestError) return undefined;
      throw requestError(method, error);
    }
  }

  #opened(session: AcpSession, sessionId: string, answer: JsonFields): void {
    this.#sessions.set(sessionId, session);
    session.opened(this.#line(), sessionId, answer, this.#capabilities);
  }

  async #ask(what: string, method: string, request: object, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#line().agent.request(method, request, until(signal));
    } catch (error) {
      const isAuth = error instanceof RequestError && error.code === -32_000;
      const hint = isAuth
        ? ` Log in with the agent first; it offers ${this.#authMethods.join(', ') || 'no method'}.`
        : '';
      throw requestError(what, error, hint);
    }
  }

  #line() {
    if (this.#wire && this.#connection) return { wire: this.#wire, agent: this.#connection.agent };
    throw new SupervisorError('ERR_BACKEND_EXITED', 'The agent is not running.', { reason: 'unreachable' });
  }

  /** Never rejects: whatever happens, the life ends with one `ended`. */
  async #run(): Promise<void> {
    const end = await this.#live().catch((error: unknown) => toFailure(error, 'ERR_SPAWN_FAILED'));
    this.#lose();
    await this.#files.remove();
    const failure = 'survivors' in end ? this.#failureOf(end) : end;
    const message = this.#redactor.redact(failure.message);
    const stderrTail = this.#process?.stderrTail(STDERR_TAIL) ?? '';
    const survivors = 'survivors' in end ? end.survivors : [];
    this.#observer.ended({ failure: { ...failure, message }, stderrTail, survivors });
  }

  async #live(): Promise<ProcessEnd | Failure> {
    await expectDirectory(this.#directory);
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
      onOutput: (chunk) => this.#wire?.receive(chunk),
      onExit: () => this.#lose(),
      onEnd: () => undefined,
    });
    this.#process = process;
    if (process.pid !== undefined && process.input) {
      this.#connect(process.input);
      this.#observer.spawned(process.pid);
    }
    return process.gone;
  }

  /** The variables that name the files. */
  #writeFiles(): Record<string, string> {
    const files = Object.entries(this.#launch.files);
    return Object.fromEntries(files.map(([name, content]) => [name, this.#files.write(name.toLowerCase(), content)]));
  }

  #connect(input: NonNullable<ManagedProcess['input']>): void {
    this.#wire = new Wire({
      input,
      onUpdate: (sessionId, update) => this.#sessions.get(sessionId)?.update(update),
      onBytes: () => (this.#lastSeenAt = this.#clock.now()),
      onBroken: () => this.kill(),
    });
    const app = client({ name: 'agent-supervisor' });
    app.onRequest(methods.client.session.requestPermission, async ({ params }) => {
      const session = this.#sessions.get(params.sessionId);
      return (await session?.ask(record(params))) ?? CANCELLED;
    });
    if (this.#launch.fileAccess === 'worktree') this.#serveFiles(app);
    this.#connection = app.connect(this.#wire.stream);
    this.#connection.closed.catch(() => undefined); // The end of the process tells why.
  }

  #serveFiles(app: ReturnType<typeof client>): void {
    app.onRequest(methods.client.fs.readTextFile, async ({ params: { sessionId, path, line, limit } }) => ({
      content: await this.#filesOf(sessionId, (files) => files.read(path, { line, limit })),
    }));
    app.onRequest(methods.client.fs.writeTextFile, async ({ params: { sessionId, path, content } }) => {
      await this.#filesOf(sessionId, (files) => files.write(path, content));
      return {};
    });
  }

  /** What is refused is the agent's to hear, as a wrong parameter of its own. */
  async #filesOf<T>(sessionId: string, work: (files: WorktreeFiles) => Promise<T>): Promise<T> {
    const session = this.#sessions.get(sessionId);
    if (!session) throw new RequestError(INVALID_PARAMS, `There is no session ${sessionId}.`);
    try {
      return await work(session.files);
    } catch (error) {
      throw new RequestError(INVALID_PARAMS, messageOf(error));
    }
  }

  /** Whoever waits for the agent learns that it is gone. */
  #lose(): void {
    this.#wire?.end();
    for (const session of this.#sessions.values()) session.lost();
    this.#sessions.clear();
  }

  #failureOf({ error, code, signal }: ProcessEnd): Failure {
    const { command } = this.#launch;
    if (error) {
      const reason = error.code ?? 'unknown';
      const hint =
        reason === 'ENOENT' ? 'It was not found: install it, or give its absolute path as `command`.' : error.message;
      return { code: 'ERR_SPAWN_FAILED', reason, message: `"${command}" could not be started (${reason}). ${hint}` };
    }
    const how = signal === null ? `with code ${code ?? 'unknown'}` : `by signal ${signal}`;
    const when = Object.keys(this.#capabilities).length === 0 ? ' before it was ready' : '';
    return {
      code: when === '' ? 'ERR_BACKEND_EXITED' : 'ERR_EXITED_BEFORE_READY',
      message: `"${command}" ended ${how}${when}`,
    };
  }
}

async function expectDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw invalidOption('directory', 'an existing directory', `${found ? 'a file' : 'nothing'} at ${path}`);
}

const until = (signal: AbortSignal) => ({ cancellationSignal: signal, stopWaitingOnCancel: true });

const variables = (values: Record<string, string> = {}) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));

function toAcpServer(server: McpServer) {
  return 'command' in server
    ? { name: server.name, command: server.command, args: server.args ?? [], env: variables(server.env) }
    : { type: server.type, name: server.name, url: server.url, headers: variables(server.headers) };
}
