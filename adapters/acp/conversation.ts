import { client, type ClientConnection, methods, PROTOCOL_VERSION, RequestError } from '@agentclientprotocol/sdk';
import type { Writable } from 'node:stream';
import { SupervisorError } from '../../actors/errors.ts';
import type { BackendSession, DriverSession, DriverSessionRequest, McpServer } from '../../actors/ports.ts';
import { type JsonFields, list, record, text } from '../json.ts';
import { VERSION } from '../version.ts';
import { serveAgent } from './agent-services.ts';
import { hasCapability } from './capabilities.ts';
import { expectDirectory } from './directory.ts';
import { requestError } from './failures.ts';
import { toAcpServers } from './mcp-servers.ts';
import { AcpSession } from './session.ts';
import { sessionsOf } from './session-list.ts';
import type { Line } from './turn.ts';
import { Wire } from './wire.ts';

/** A method that no agent has: its refusal is the proof of life. */
const PROBE_METHOD = '_agent-supervisor/ping';
/** Updates kept of sessions that are not known yet. */
const MAX_EARLY = 64;

export interface ConversationOptions {
  /** What the agent reads. */
  readonly input: Writable;
  /** Begins or ceases to read its output. */
  readonly flow: (isRead: boolean) => void;
  readonly hasFiles: boolean;
  /** The environment of the commands that the agent runs through us; absent: it runs none. */
  readonly terminalEnvironment: Readonly<Record<string, string>> | undefined;
  /** For every session, beside its own. */
  readonly mcpServers: readonly McpServer[];
  /** How to log in; absent: as the agent is configured. */
  readonly authMethod: string | undefined;
  /** The process runs. */
  readonly isAlive: () => boolean;
  readonly onBytes: () => void;
  /** The agent broke the protocol in a way that cannot be survived. */
  readonly onBroken: (reason: string) => void;
}

/** A session to be continued. */
interface Continuation {
  readonly sessionId: string;
  readonly cwd: string;
  readonly mcpServers: ReturnType<typeof toAcpServers>;
}

/** What is said between us and one process life of an agent. */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #wire: Wire;
  readonly #connection: ClientConnection;
  readonly #sessions = new Map<string, AcpSession>();
  #capabilities: JsonFields = {};
  #ended: Promise<void> | undefined;
  #isReady = false;
  /** Sessions that are being opened: what is said of them may come before they are known. */
  #openings = 0;
  /** What was said of sessions that are not known yet: one of them may be the one that is being opened. */
  #early: { readonly sessionId: string; readonly update: JsonFields }[] = [];
  #authMethods: readonly string[] = [];

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#wire = new Wire({
      input: options.input,
      flow: options.flow,
      onUpdate: (sessionId, update) => this.#update(sessionId, update),
      onBytes: options.onBytes,
      onBroken: options.onBroken,
    });
    this.#connection = this.#connect();
  }

  get isOpen(): boolean {
    return this.#wire.isOpen && this.#options.isAlive();
  }

  /** It is we who do not read: the agent's silence says nothing. */
  get isHeldUp(): boolean {
    return this.#wire.valve.isShut;
  }

  /** The agent has said what it can do. */
  get isReady(): boolean {
    return this.#isReady;
  }

  receive(chunk: Buffer): void {
    this.#wire.receive(chunk);
  }

  /** Nobody is at the other end any more; whoever waits learns it. Resolves when nothing runs for it any more. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    this.#wire.end();
    const lost = [...this.#sessions.values()].map((session) => session.lost());
    this.#sessions.clear();
    await Promise.all(lost);
  }

  async handshake(signal: AbortSignal): Promise<{ version: string | null }> {
    const { hasFiles, terminalEnvironment } = this.#options;
    const request = {
      protocolVersion: PROTOCOL_VERSION,
      clientInfo: { name: 'agent-supervisor', version: VERSION },
      clientCapabilities: {
        fs: { readTextFile: hasFiles, writeTextFile: hasFiles },
        terminal: terminalEnvironment !== undefined,
        elicitation: { form: {} },
      },
    };
    const answer = record(await this.#ask('initialize', methods.agent.initialize, request, signal));
    if (answer['protocolVersion'] !== PROTOCOL_VERSION) {
      const message = `The agent speaks version ${String(answer['protocolVersion'])} of the protocol; expected ${PROTOCOL_VERSION}.`;
      throw new SupervisorError('ERR_VERSION_MISMATCH', message);
    }
    this.#capabilities = record(answer['agentCapabilities']);
    this.#isReady = true;
    this.#authMethods = list(answer['authMethods']).map((method) => text(record(method)['id']) ?? '');
    const { authMethod: methodId } = this.#options;
    if (methodId !== undefined) await this.#ask('authenticate', methods.agent.authenticate, { methodId }, signal);
    return { version: text(record(answer['agentInfo'])['version']) ?? null };
  }

  async probe(signal: AbortSignal): Promise<void> {
    await this.#line()
      .agent.request(PROBE_METHOD, {}, until(signal))
      .catch((error: unknown) => {
        if (!(error instanceof RequestError)) throw error; // Any answer is one.
      });
  }

  async openSession(request: DriverSessionRequest, signal: AbortSignal): Promise<DriverSession> {
    const mcpServers = this.#mcpServers(request);
    const session = new AcpSession({ ...request, mcpServers }, this.#options.terminalEnvironment ?? {});
    await expectDirectory(request.directory);
    await session.files.pin();
    session.check({ ...request, blocks: [] });
    if (request.resume === undefined) await this.#create(session, signal);
    else if (!(await this.#continue(session, request.resume, signal)))
      throw new SupervisorError('ERR_SESSION_NOT_FOUND', `The agent does not know the session ${request.resume}.`);
    session.restored = request.resume !== undefined;
    session.hasHistory = request.resume !== undefined && request.hasHistory !== false;
    await this.#choose(session, signal);
    return session;
  }

  async listSessions(directory: string, signal: AbortSignal): Promise<BackendSession[]> {
    if (!hasCapability(this.#capabilities, 'list'))
      throw new SupervisorError('ERR_UNSUPPORTED', 'This agent cannot list its sessions.');
    return sessionsOf(directory, async (request) =>
      record(await this.#ask('session/list', methods.agent.session.list, request, signal)),
    );
  }

  async restoreSession(session: DriverSession, signal: AbortSignal): Promise<'restored' | 'replaced'> {
    if (!(session instanceof AcpSession)) throw new Error('A session of another kind of agent.');
    const isContinued = await this.#continue(session, session.agentSessionId, signal);
    if (!isContinued) await this.#create(session, signal);
    await this.#choose(session, signal);
    return isContinued || !session.hasHistory ? 'restored' : 'replaced';
  }

  async #create(session: AcpSession, signal: AbortSignal): Promise<void> {
    const { directory: cwd, mcpServers = [] } = session.request;
    this.#openings += 1;
    const request = { cwd, mcpServers: toAcpServers(mcpServers) };
    const answer = record(
      await this.#ask('session/new', methods.agent.session.new, request, signal).finally(() => (this.#openings -= 1)),
    );
    session.cost = 0;
    const sessionId = text(answer['sessionId']);
    if (sessionId === undefined || sessionId === '')
      throw new SupervisorError('ERR_PROTOCOL', 'The agent opened a session and did not say which.');
    this.#opened(session, sessionId, answer);
  }

  #update(sessionId: string, update: JsonFields): void {
    const session = this.#sessions.get(sessionId);
    if (session) return session.update(update);
    if (this.#openings === 0) return;
    this.#early.push({ sessionId, update });
    if (this.#early.length > MAX_EARLY) this.#early.shift();
  }

  #mcpServers({ mcpServers: own = [] }: DriverSessionRequest): readonly McpServer[] {
    const names = new Set(own.map(({ name }) => name));
    return [...this.#options.mcpServers.filter(({ name }) => !names.has(name)), ...own];
  }

  /** A session that is not in the mode that was asked for is not open. */
  async #choose(session: AcpSession, signal: AbortSignal): Promise<void> {
    try {
      await session.choose({ blocks: [] }, signal);
    } catch (error) {
      this.#sessions.delete(session.agentSessionId);
      throw error;
    }
  }

  /**
   * Continues a session of an earlier life, where the agent can: `false` where it cannot, or has forgotten it. What was
   * said is told by a load, and not by a resume: of a session that nobody here knows it is wanted.
   */
  async #continue(session: AcpSession, sessionId: string, signal: AbortSignal): Promise<boolean> {
    const { directory: cwd, mcpServers = [] } = session.request;
    const request = { sessionId, cwd, mcpServers: toAcpServers(mcpServers) };
    const ways = [() => this.#resume(session, request, signal), () => this.#load(session, request, signal)];
    for (const way of session.hasHistory ? ways : ways.reverse()) if (await way()) return true;
    return false;
  }

  async #resume(session: AcpSession, request: Continuation, signal: AbortSignal): Promise<boolean> {
    if (!hasCapability(this.#capabilities, 'resume')) return false;
    this.#openings += 1;
    const resumed = await this.#tryTo(methods.agent.session.resume, request, signal).finally(() => {
      this.#openings -= 1;
    });
    if (resumed) this.#opened(session, request.sessionId, resumed);
    return resumed !== undefined;
  }

  async #load(session: AcpSession, request: Continuation, signal: AbortSignal): Promise<boolean> {
    if (this.#capabilities['loadSession'] !== true) return false;
    const { sessionId } = request;
    this.#sessions.set(sessionId, session);
    session.beginReplay();
    const loaded = await this.#tryTo(methods.agent.session.load, request, signal).finally(() => {
      this.#sessions.delete(sessionId);
    });
    const isKnown = session.hasHistory || session.request.hasHistory === true;
    const isEmpty = session.endReplay() === 0 && isKnown; // [qwen] Any id can be loaded: an unknown one is an empty session.
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
    if (this.#sessions.size > 1) this.#wire.valve.release(); // From now on others would wait, too.
    session.opened(this.#line(), sessionId, answer, this.#capabilities);
    for (const early of this.#early.splice(0)) this.#update(early.sessionId, early.update);
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

  #line(): Line {
    return {
      wire: this.#wire,
      agent: this.#connection.agent,
      isOpen: () => this.isOpen,
      forget: (sessionId) => void this.#sessions.delete(sessionId),
      hold: (holder, isHeld) => this.#wire.valve.hold(holder, isHeld && this.#sessions.size === 1),
    };
  }

  #connect(): ClientConnection {
    const app = client({ name: 'agent-supervisor' });
    const { hasFiles, terminalEnvironment } = this.#options;
    serveAgent(app, {
      hasFiles,
      hasTerminals: terminalEnvironment !== undefined,
      session: (sessionId) => this.#sessions.get(sessionId),
    });
    const connection = app.connect(this.#wire.stream);
    connection.closed.catch(() => undefined); // The end of the process tells why.
    return connection;
  }
}

const until = (signal: AbortSignal) => ({ cancellationSignal: signal, stopWaitingOnCancel: true });
