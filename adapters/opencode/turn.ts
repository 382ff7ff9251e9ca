import { SupervisorError } from '../../actors/errors.ts';
import type {
  Clock,
  DispatchOutcome,
  DriverTurn,
  McpServer,
  PermissionDecision,
  QuestionAnswer,
  TurnRequest,
  TurnSink,
  VoiceChoice,
} from '../../actors/ports.ts';
import type { Demultiplexer } from './demultiplexer.ts';
import type { Directories } from './directories.ts';
import { restoreMcpServers } from './mcp-servers.ts';
import { nextMessageId } from './message-id.ts';
import { promptParts } from './prompt-parts.ts';
import { ask, type OpencodeClient, RequestFailure, toSupervisorError } from './requests.ts';
import { TurnTranslator } from './turn-translator.ts';
import { agentOf, checkVoice, expectVoice, modelOf } from './voice.ts';

/** The current life of the server, read anew for each request. */
interface CurrentLife {
  client(directory: string): OpencodeClient;
  generation(): number;
}

export interface TurnPlace {
  readonly sessionId: string;
  readonly directory: string;
  readonly life: CurrentLife;
  /** The server is ours: it did not outlive the host that started it. */
  readonly isOurs: boolean;
  readonly clock: Clock;
  readonly demultiplexer: Demultiplexer;
  readonly directories: Directories;
}

/** What has to be there before the prompt is sent. */
export interface TurnNeeds {
  readonly mcpServers: readonly McpServer[];
  /** What is not known to exist. */
  readonly voice: VoiceChoice;
}

/** A live server begins within this, in milliseconds; a prompt that it does not know by then was never accepted. */
export const OVERDUE_MS = 60_000;

/** One prompt on the server. Each sending carries the same message id. */
export class OpencodeTurn implements DriverTurn {
  readonly translator: TurnTranslator;
  readonly place: TurnPlace;
  readonly sink: TurnSink;
  readonly #request: TurnRequest;
  readonly #needs: TurnNeeds;
  readonly #withdrawn = new AbortController();
  #sentAt = 0;
  /** Its place in the directory, and how to leave it. */
  #entered: Promise<() => void> | undefined;
  #generation = 0;

  constructor(place: TurnPlace, request: TurnRequest, sink: TurnSink, needs: TurnNeeds) {
    this.place = place;
    this.#needs = needs;
    this.sink = sink;
    this.#request = request;
    this.translator = new TurnTranslator({ ...place, messageId: nextMessageId(place.clock.wallNow()) }, sink);
    place.demultiplexer.attach(this.translator);
  }

  get messageId(): string {
    return this.translator.messageId;
  }

  get isSent(): boolean {
    return this.#generation > 0;
  }

  /** Another process life than the one that the prompt was sent to. */
  get isOtherLife(): boolean {
    return this.place.life.generation() !== this.#generation;
  }

  get isOverdue(): boolean {
    return this.place.clock.now() - this.#sentAt > OVERDUE_MS;
  }

  async send(signal: AbortSignal): Promise<DispatchOutcome> {
    const { sessionId, directory, life } = this.place;
    try {
      await this.#prepare(AbortSignal.any([signal, this.#withdrawn.signal]));
    } catch (error) {
      return this.#unsent(error);
    }
    try {
      this.#noteSent();
      const body = { sessionID: sessionId, directory, messageID: this.translator.messageId, ...this.#body() };
      await ask('POST /session/{id}/prompt_async', signal, (options) =>
        life.client(directory).session.promptAsync(body, options),
      );
      return { kind: 'accepted' };
    } catch (error) {
      const { code, message } = toSupervisorError(error, 'The prompt was not accepted');
      return { kind: isRefusal(error) ? 'refused' : 'unknown', failure: { code, message } };
    }
  }

  /** Gives up what was not sent yet. */
  withdraw(): void {
    this.#withdrawn.abort(new Error('the turn was cancelled'));
  }

  /** Nothing was sent; where the server is gone that is found out like any other loss. */
  #unsent(error: unknown): DispatchOutcome {
    const { code, message } = toSupervisorError(error, 'The prompt was not sent');
    const isGone = error instanceof RequestFailure && error.isUnreachable;
    if (isGone) this.#noteSent();
    return { kind: isGone ? 'unknown' : 'refused', failure: { code, message } };
  }

  #noteSent(): void {
    this.#generation = this.place.life.generation();
    this.#sentAt = this.place.clock.now();
  }

  async cancel(signal: AbortSignal): Promise<void> {
    const { sessionId, directory, life } = this.place;
    const client = life.client(directory);
    await ask('POST /session/{id}/abort', signal, (options) =>
      client.session.abort({ sessionID: sessionId, directory }, options),
    );
  }

  /** A request that the server no longer knows was answered elsewhere, or died with its process: that is an end too. */
  async answer(askId: string, answer: PermissionDecision | QuestionAnswer, signal: AbortSignal): Promise<void> {
    if (this.isOtherLife) return;
    const isPermission = 'outcome' in answer;
    try {
      await (isPermission
        ? this.#answerPermission(askId, answer, signal)
        : this.#answerQuestion(askId, answer, signal));
    } catch (error) {
      if (!(error instanceof RequestFailure) || !error.isRefusal) throw error;
      if (error.status === 404) return;
      throw new SupervisorError('ERR_INVALID_OPTION', error.message, { cause: error });
    }
    const rejected = isPermission ? !answer.outcome.startsWith('allow') : answer.action !== 'accept';
    if (rejected) this.translator.rejected(askId);
  }

  /** One stream carries many sessions: it waits for nobody. */
  hold(): void {}

  end(): void {
    void this.#entered?.then((leave) => leave());
    this.place.demultiplexer.detach(this.translator);
  }

  /** Refuses what the server would take and never answer. */
  async #prepare(signal: AbortSignal): Promise<void> {
    const { directory, directories, life } = this.place;
    const { voice, mcpServers } = this.#needs;
    this.#entered ??= directories.enter(directory);
    await this.#entered;
    const client = life.client(directory);
    await expectVoice(client, directory, voice, signal);
    await restoreMcpServers(client, directory, mcpServers, signal);
  }

  #body() {
    const { blocks, model } = this.#request;
    const agent = agentOf(this.#request);
    return {
      parts: promptParts(blocks),
      ...(model === undefined ? {} : { model: modelOf(model) }),
      ...(agent === undefined ? {} : { agent }),
    };
  }

  async #answerPermission(
    requestID: string,
    { outcome, message }: PermissionDecision,
    signal: AbortSignal,
  ): Promise<void> {
    const { directory, life } = this.place;
    const reply = outcome === 'allow_once' ? 'once' : outcome === 'allow_always' ? 'always' : 'reject';
    const body = { requestID, directory, reply, ...(message === undefined ? {} : { message }) } as const;
    await ask('POST /permission/{id}/reply', signal, (options) =>
      life.client(directory).permission.reply(body, options),
    );
  }

  async #answerQuestion(requestID: string, answer: QuestionAnswer, signal: AbortSignal): Promise<void> {
    const { directory, life } = this.place;
    const { question } = life.client(directory);
    if (answer.action !== 'accept') {
      await ask('POST /question/{id}/reject', signal, (options) => question.reject({ requestID, directory }, options));
      return;
    }
    const body = { requestID, directory, answers: answer.answers };
    await ask('POST /question/{id}/reply', signal, (options) => question.reply(body, options));
  }
}

/** Throws `ERR_INVALID_OPTION` for what the server could not take. */
export function checkRequest(request: TurnRequest): void {
  promptParts(request.blocks);
  checkVoice(request);
}

/** The prompt cannot have been accepted, and never will be. */
function isRefusal(error: unknown): boolean {
  if (error instanceof RequestFailure) return error.isRefusal;
  return error instanceof SupervisorError && error.code === 'ERR_INVALID_OPTION';
}
