import type { ContentBlock } from '../contract/events.ts';
import type { Message, PromptOptions, Session, Turn } from '../contract/session.ts';
import type { SessionCapabilities, SessionChoices, SessionStatus } from '../contract/status.ts';
import { SupervisorError } from '../errors.ts';
import type { DriverSession, VoiceChoice } from '../ports.ts';
import { TurnHandle } from '../turn/turn-handle.ts';
import { expectBoolean, expectObject, expectString } from '../validation.ts';
import { expectPromptOptions, promptBlocks } from './prompt-input.ts';
import type { SessionLine } from './session-line.ts';
import type { SessionRecord } from './session-record.ts';

/** What a session asks of the supervisor that it belongs to. */
export interface SessionHost {
  nextTurnId(): string;
  statusOf(session: SessionRecord): SessionStatus;
  /** Rejects for what the backend does not have; a backend that is down is asked when the prompt is sent. */
  verify(session: SessionRecord, choice: VoiceChoice): Promise<void>;
  /** Runs a request to the backend, which must be up, within the time limit of requests. */
  request<T>(session: SessionRecord, work: (driver: DriverSession, signal: AbortSignal) => Promise<T>): Promise<T>;
  fork(session: SessionRecord): Promise<Session>;
  release(session: SessionRecord): void;
  close(session: SessionRecord, options: { readonly delete: boolean }): Promise<void>;
}

/** What the host holds of a session. */
export class SessionHandle implements Session {
  readonly #record: SessionRecord;
  readonly #line: SessionLine;
  readonly #host: SessionHost;

  constructor(record: SessionRecord, line: SessionLine, host: SessionHost) {
    this.#record = record;
    this.#line = line;
    this.#host = host;
  }

  get id(): string {
    return this.#record.id;
  }

  get chatId(): string {
    return this.#record.settings.chatId;
  }

  get backend(): string {
    return this.#record.settings.backendId;
  }

  get agentSessionId(): string {
    return this.#record.driver.agentSessionId;
  }

  get directory(): string {
    return this.#record.driver.directory;
  }

  get capabilities(): SessionCapabilities {
    return this.#record.driver.capabilities;
  }

  get interrupted(): Session['interrupted'] {
    return this.#record.interrupted;
  }

  prompt(input: string | ContentBlock[], options?: PromptOptions): Turn {
    const { signal, model, agent, mode, ...limits } = expectPromptOptions(options);
    const { settings } = this.#record;
    const voice = agent === undefined && mode === undefined ? settings : { agent, mode };
    const chosen = { model: model ?? settings.model, agent: voice.agent, mode: voice.mode };
    const request = { blocks: promptBlocks(input), ...present(chosen) };
    this.#record.driver.check(request);
    const turn = this.#line.enter(this.#host.nextTurnId(), request, limits);
    if (signal) cancelOnAbort(turn, signal);
    return new TurnHandle(turn);
  }

  async cancel(): Promise<void> {
    const turns = this.#record.turns();
    for (const turn of [...turns].reverse()) turn.send({ type: 'turn.cancel' });
    await Promise.all([...turns].map((turn) => turn.result));
  }

  async setModel(id: string): Promise<void> {
    const model = expectString('model', id);
    this.#record.driver.check({ blocks: [], model });
    await this.#host.verify(this.#record, { model });
    this.#record.settings.model = model;
  }

  async setMode(id: string): Promise<void> {
    const mode = expectString('mode', id);
    if (!this.capabilities.setMode)
      throw new SupervisorError('ERR_UNSUPPORTED', `The backend ${this.backend} has no modes.`);
    await this.#host.verify(this.#record, { mode });
    delete this.#record.settings.agent;
    this.#record.settings.mode = mode;
  }

  fork(): Promise<Session> {
    return this.#host.fork(this.#record);
  }

  async messages(): Promise<Message[]> {
    const { transcript } = this.#record.driver;
    if (transcript && !this.#record.closed) return [...transcript];
    return this.#host.request(this.#record, (driver, signal) => driver.messages(signal));
  }

  status(): SessionStatus {
    return this.#host.statusOf(this.#record);
  }

  choices(): SessionChoices {
    return this.#record.driver.choices;
  }

  release(): Promise<void> {
    this.#host.release(this.#record);
    return Promise.resolve();
  }

  async close(options: { delete?: boolean } = {}): Promise<void> {
    const { delete: remove = false } = expectObject('close()', options, ['delete']);
    await this.#host.close(this.#record, { delete: expectBoolean('delete', remove) });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

function cancelOnAbort(
  turn: { send(event: { type: 'turn.cancel' }): void; result: Promise<unknown> },
  signal: AbortSignal,
): void {
  const cancel = () => turn.send({ type: 'turn.cancel' });
  if (signal.aborted) return cancel();
  signal.addEventListener('abort', cancel, { once: true });
  void turn.result.then(() => signal.removeEventListener('abort', cancel));
}

function present<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
