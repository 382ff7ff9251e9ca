import { setTimeout as delay } from 'node:timers/promises';
import { methods } from '@agentclientprotocol/sdk';
import { SupervisorError } from '../../actors/errors.ts';
import type {
  DriverSession,
  DriverSessionRequest,
  DriverTurn,
  Message,
  TurnRequest,
  TurnSink,
  VoiceChoice,
} from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { hasCapability } from './capabilities.ts';
import { type JsonFields, list, record, text } from '../json.ts';
import { requestError } from './failures.ts';
import { AcpTurn, type Line, type TurnHost } from './turn.ts';
import { WorktreeFiles } from './worktree-files.ts';

/** Pause between two cancels of work that is to end, in milliseconds. */
const QUIET_POLL_MS = 250;

/** A conversation with an agent. It goes over to the next life of the process. */
export class AcpSession implements DriverSession, TurnHost {
  agentSessionId = '';
  restored = false;
  title: string | undefined;
  readonly directory: string;
  readonly request: DriverSessionRequest;
  /** Whether a prompt was sent: only then is there something to remember. */
  hasHistory = false;
  /** The updates of a session that is being loaded belong to no turn. */
  replayed: number | undefined;
  capabilities: JsonFields = {};
  /** The files that the agent may read and write through its client. */
  readonly files: WorktreeFiles;
  #line: Line | undefined;
  #modes: JsonFields = {};
  #turn: AcpTurn | undefined;
  #busy: Promise<void> | undefined;

  constructor(request: DriverSessionRequest) {
    this.request = request;
    this.directory = request.directory;
    this.files = new WorktreeFiles(request.directory);
  }

  get mode(): string | undefined {
    return text(this.#modes['currentModeId']);
  }

  /** It is open in a life of the agent, under this id. */
  opened(line: Line, agentSessionId: string, answer: JsonFields, capabilities: JsonFields): void {
    this.#line = line;
    this.agentSessionId = agentSessionId;
    this.capabilities = capabilities;
    if (answer['modes'] !== undefined && answer['modes'] !== null) this.#modes = record(answer['modes']);
  }

  /** The life of the agent is over. */
  lost(): void {
    this.#line = undefined;
    this.#turn?.lost();
  }

  line(): Line {
    if (this.#line) return this.#line;
    throw new SupervisorError('ERR_BACKEND_EXITED', 'The agent is not running.');
  }

  busyUntil(answered: Promise<void>): void {
    this.hasHistory = true;
    const busy = answered.then(() => {
      if (this.#busy === busy) this.#busy = undefined;
    });
    this.#busy = busy;
  }

  update(update: JsonFields): void {
    if (update['sessionUpdate'] === 'current_mode_update')
      this.#modes = { ...this.#modes, currentModeId: update['currentModeId'] };
    if (update['sessionUpdate'] === 'session_info_update') this.title = text(update['title']) ?? this.title;
    if (this.replayed !== undefined) this.replayed += 1;
    else this.#turn?.update(update);
  }

  ask(params: JsonFields) {
    return this.#turn?.ask(params);
  }

  check({ model, agent }: TurnRequest): void {
    if (agent !== undefined)
      throw new SupervisorError('ERR_UNSUPPORTED', 'An agent of this kind has no agents of its own.');
    if (model !== undefined) throw new SupervisorError('ERR_UNSUPPORTED', 'The model of this agent is its own choice.');
  }

  verify(choice: VoiceChoice): Promise<void> {
    return Promise.resolve().then(() => {
      this.check({ ...choice, blocks: [] });
      if (choice.mode !== undefined) this.#expectMode(choice.mode);
    });
  }

  async choose({ mode = this.request.mode }: TurnRequest, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (mode === undefined || mode === this.mode) return;
    this.#expectMode(mode);
    const { agent } = this.line();
    const request = { sessionId: this.agentSessionId, modeId: mode };
    await agent
      .request(methods.agent.session.setMode, request, { cancellationSignal: signal, stopWaitingOnCancel: true })
      .catch((error: unknown) => {
        throw requestError(`The mode ${mode} was not taken`, error);
      });
    this.#modes = { ...this.#modes, currentModeId: mode };
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

  fork(): Promise<string> {
    return Promise.reject(new SupervisorError('ERR_UNSUPPORTED', 'This agent cannot fork a session.'));
  }

  messages(): Promise<Message[]> {
    return Promise.resolve([]);
  }

  async close(_: { readonly delete: boolean }, signal: AbortSignal): Promise<void> {
    if (!hasCapability(this.capabilities, 'close')) return;
    const request = { sessionId: this.agentSessionId };
    await this.line()
      .agent.request(methods.agent.session.close, request, { cancellationSignal: signal, stopWaitingOnCancel: true })
      .catch((error: unknown) => {
        throw requestError('The session was not closed', error);
      });
  }

  #expectMode(mode: string): void {
    const known = list(this.#modes['availableModes']).map((one) => text(record(one)['id']) ?? '');
    if (!known.includes(mode))
      throw invalidOption('mode', `one of ${known.join(', ') || 'none: the agent has no modes'}`, mode);
  }
}
