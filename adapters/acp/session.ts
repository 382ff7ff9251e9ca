import { setTimeout as delay } from 'node:timers/promises';
import { methods } from '@agentclientprotocol/sdk';
import { SupervisorError } from '../../actors/errors.ts';
import type {
  DriverSession,
  DriverSessionRequest,
  DriverTurn,
  Message,
  SessionCapabilities,
  SessionChoices,
  SessionMetadata,
  TurnRequest,
  TurnSink,
  VoiceChoice,
} from '../../actors/ports.ts';
import { type JsonFields, list, number, present, record, text } from '../json.ts';
import { hasCapability, sessionCapabilities } from './capabilities.ts';
import { requestError } from './failures.ts';
import { toAcpServers } from './mcp-servers.ts';
import { checkBlocks } from './prompt-blocks.ts';
import { Terminals } from './terminals.ts';
import { isSaid, Transcript } from './transcript.ts';
import { AcpTurn, type Line, type TurnHost } from './turn.ts';
import { contextOf } from './usage.ts';
import { AcpVoice } from './voice.ts';
import { WorktreeFiles } from './worktree-files.ts';

/** Pause between two cancels of work that is to end, in milliseconds. */
const QUIET_POLL_MS = 250;

/** Not a stable part of the protocol yet. */
const FORK_METHOD = 'session/fork';

/** A conversation with an agent. It goes over to the next life of the process. */
export class AcpSession implements DriverSession, TurnHost {
  agentSessionId = '';
  restored = false;
  readonly directory: string;
  readonly request: DriverSessionRequest;
  /** Whether a prompt was sent: only then is there something to remember. */
  hasHistory = false;
  /** What the agent says it can do. */
  advertised: JsonFields = {};
  /** The files that the agent may read and write through its client. */
  readonly files: WorktreeFiles;
  /** The commands that it may run through its client. */
  terminals: Terminals;
  /** The cost of the session so far, where the agent tells it. */
  cost: number | undefined;
  readonly #terminalEnvironment: Readonly<Record<string, string>>;
  readonly #voice = new AcpVoice();
  readonly #transcript = new Transcript();
  #title: string | undefined;
  #commands: SessionChoices['commands'] = [];
  #context: SessionMetadata['context'];
  /** The updates of a session that is being loaded belong to no turn. */
  #replayed: number | undefined;
  #line: Line | undefined;
  #turn: AcpTurn | undefined;
  #busy: Promise<void> | undefined;

  constructor(request: DriverSessionRequest, terminalEnvironment: Readonly<Record<string, string>>) {
    this.request = request;
    this.directory = request.directory;
    this.files = new WorktreeFiles(request.directory);
    this.#terminalEnvironment = terminalEnvironment;
    this.terminals = new Terminals(this.files, terminalEnvironment);
  }

  get capabilities(): SessionCapabilities {
    return sessionCapabilities(this.advertised, { mode: this.#voice.has('mode'), model: this.#voice.has('model') });
  }

  get metadata(): SessionMetadata {
    return {
      ...this.#voice.metadata,
      ...present('title', this.#title),
      ...present('context', this.#context),
    };
  }

  get choices(): SessionChoices {
    return { ...this.#voice.choices, commands: this.#commands };
  }

  /** It is open in a life of the agent, under this id. */
  opened(line: Line, agentSessionId: string, answer: JsonFields, advertised: JsonFields): void {
    this.#line = line;
    if (this.terminals.isOver) this.terminals = new Terminals(this.files, this.#terminalEnvironment);
    this.agentSessionId = agentSessionId;
    this.advertised = advertised;
    this.#voice.opened(answer);
  }

  /** The agent is about to tell what was said before. */
  beginReplay(): void {
    this.#replayed = 0;
  }

  /** How much it told. */
  endReplay(): number {
    const replayed = this.#replayed ?? 0;
    this.#replayed = undefined;
    return replayed;
  }

  /** The life of the agent is over. Resolves when nothing runs that it has started through us. */
  lost(): Promise<void> {
    this.#line = undefined;
    this.#busy = undefined;
    this.#turn?.lost();
    return this.terminals.end();
  }

  line(): Line {
    if (this.#line) return this.#line;
    throw new SupervisorError('ERR_BACKEND_EXITED', 'The agent is not running.');
  }

  asked(prompt: string): void {
    this.hasHistory = true;
    this.#transcript.asked(prompt);
  }

  busyUntil(answered: Promise<void>): void {
    const busy = answered.then(() => {
      if (this.#busy === busy) this.#busy = undefined;
    });
    this.#busy = busy;
  }

  update(update: JsonFields): void {
    this.#note(update);
    if (this.#replayed === undefined) {
      this.#transcript.heard(update, false);
      this.#turn?.update(update);
    } else if (isSaid(update)) {
      if (this.#replayed === 0) this.#transcript.clear();
      this.#transcript.heard(update, true);
      this.#replayed += 1;
    }
  }

  over(turn: object): void {
    if (this.#turn === turn) this.#turn = undefined;
  }

  askPermission(params: JsonFields) {
    return this.#turn?.askPermission(params);
  }

  askQuestion(params: JsonFields) {
    return this.#turn?.askQuestion(params);
  }

  check(request: TurnRequest): void {
    checkBlocks(request.blocks);
    this.#voice.check(request, this.agentSessionId !== '');
  }

  /** An agent keeps its mode and its model: they are taken over at once, or by the next prompt where one runs. */
  async verify(choice: VoiceChoice, signal: AbortSignal): Promise<void> {
    this.#voice.verify(choice);
    if (!this.#turn) await this.#voice.adopt(choice, this.line(), this.agentSessionId, signal);
  }

  async choose(request: TurnRequest, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { mode = this.request.mode, model = this.request.model } = request;
    await this.#voice.choose(
      { ...present('mode', mode), ...present('model', model) },
      this.line(),
      this.agentSessionId,
      signal,
    );
  }

  begin(request: TurnRequest, sink: TurnSink): DriverTurn {
    this.#turn = new AcpTurn(this, request, sink);
    return this.#turn;
  }

  /** Never two prompts at once: the one before is cancelled until it is answered. */
  async quiet(signal: AbortSignal): Promise<void> {
    while (this.#busy && !signal.aborted) {
      await this.line().agent.notify(methods.agent.session.cancel, { sessionId: this.agentSessionId });
      const over = new AbortController();
      const pause = delay(QUIET_POLL_MS, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(
        () => undefined,
      );
      await Promise.race([this.#busy, pause]);
      over.abort();
    }
  }

  async fork(signal: AbortSignal): Promise<string> {
    if (!this.capabilities.fork) throw new SupervisorError('ERR_UNSUPPORTED', 'This agent cannot fork a session.');
    const { mcpServers = [] } = this.request;
    const request = {
      sessionId: this.agentSessionId,
      cwd: this.directory,
      mcpServers: toAcpServers(mcpServers),
    };
    const forked = await this.#ask('The session was not forked', FORK_METHOD, request, signal);
    return text(forked['sessionId']) ?? '';
  }

  get transcript(): readonly Message[] {
    return this.#transcript.messages;
  }

  messages(): Promise<Message[]> {
    return Promise.resolve(this.#transcript.messages);
  }

  async close(options: { readonly delete: boolean }, signal: AbortSignal): Promise<void> {
    await this.terminals.end();
    const { forget } = this.line();
    const request = { sessionId: this.agentSessionId };
    try {
      if (hasCapability(this.advertised, 'close'))
        await this.#ask('The session was not closed', methods.agent.session.close, request, signal);
      if (options.delete) await this.#delete(signal);
    } finally {
      forget(this.agentSessionId);
    }
  }

  async #delete(signal: AbortSignal): Promise<void> {
    if (!this.capabilities.deleteSession)
      throw new SupervisorError('ERR_UNSUPPORTED', 'The session is closed; this agent cannot delete one.');
    const request = { sessionId: this.agentSessionId };
    await this.#ask('The session was not deleted', methods.agent.session.delete, request, signal);
  }

  /** What an update says of the session, whether a turn runs or not. */
  #note(update: JsonFields): void {
    switch (update['sessionUpdate']) {
      case 'current_mode_update':
      case 'config_option_update':
        return this.#voice.update(update);
      case 'session_info_update':
        this.#title = text(update['title']) ?? this.#title;
        return;
      case 'available_commands_update':
        this.#commands = list(update['availableCommands']).map(record).map(commandOf);
        return;
      case 'usage_update':
        this.#context = contextOf(update) ?? this.#context;
        this.cost = number(record(update['cost'])['amount']) ?? this.cost;
    }
  }

  async #ask(what: string, method: string, request: object, signal: AbortSignal): Promise<JsonFields> {
    const limits = { cancellationSignal: signal, stopWaitingOnCancel: true };
    try {
      return record(await this.line().agent.request(method, request, limits));
    } catch (error) {
      throw requestError(what, error);
    }
  }
}

const commandOf = (command: JsonFields) => ({
  name: text(command['name']) ?? '',
  ...present('description', text(command['description'])),
});
