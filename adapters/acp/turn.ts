import type { ClientConnection } from '@agentclientprotocol/sdk';
import { methods } from '@agentclientprotocol/sdk';
import type {
  DispatchOutcome,
  DriverTurn,
  PermissionDecision,
  QuestionAnswer,
  TurnRequest,
  TurnSink,
} from '../../actors/ports.ts';
import { type JsonFields, record, text } from '../json.ts';
import { requestError, turnFailure } from './failures.ts';
import { elicitationAnswer, type ElicitationAnswer, questionAsk } from './elicitation.ts';
import { CANCELLED, permissionAnswer, permissionAsk, type PermissionAnswer } from './permission.ts';
import { promptBlocks } from './prompt-blocks.ts';
import type { Terminals } from './terminals.ts';
import { UpdateTranslator } from './updates.ts';
import type { Answer, Wire } from './wire.ts';

/** Limit of asking for the mode and the model of a prompt, in milliseconds. */
const CHOOSE_LIMIT_MS = 30_000;

/** The connection that a session has in the current life of its agent. */
export interface Line {
  readonly wire: Wire;
  readonly agent: ClientConnection['agent'];
  /** There is somebody at the other end. */
  readonly isOpen: () => boolean;
  /** The output waits for this holder, unless other sessions would wait, too. */
  readonly hold: (holder: object, isHeld: boolean) => void;
  /** The session is closed: nothing is said of it any more. */
  readonly forget: (sessionId: string) => void;
}

/** What a turn needs of its session. */
export interface TurnHost {
  readonly agentSessionId: string;
  readonly advertised: JsonFields;
  readonly terminals: Terminals;
  /** The cost of the session so far, where the agent tells it. */
  readonly cost: number | undefined;
  /** Throws where the agent is not running. */
  line(): Line;
  /** Something may be at work on a prompt until this resolves. */
  busyUntil(answered: Promise<void>): void;
  /** The prompt is where the agent can read it. */
  asked(prompt: string): void;
  /** The turn is settled. */
  over(turn: object): void;
  /** Asks for what the prompt wants and the session does not have. */
  choose(request: TurnRequest, signal: AbortSignal): Promise<void>;
}

/** What the agent waits for. */
type Asked =
  | { readonly kind: 'permission'; readonly params: JsonFields; readonly answer: (answer: PermissionAnswer) => void }
  | { readonly kind: 'question'; readonly params: JsonFields; readonly answer: (answer: ElicitationAnswer) => void };

/** One prompt to an agent. It is answered once, in order with its updates, or its process is gone. */
export class AcpTurn implements DriverTurn {
  readonly #host: TurnHost;
  readonly #request: TurnRequest;
  readonly #sink: TurnSink;
  readonly #updates: UpdateTranslator;
  readonly #asks = new Map<string, Asked>();
  readonly #withdrawn = new AbortController();
  #answered: (() => void) | undefined;
  /** The prompt is being written: resolves with whether somebody can read it. */
  #writing: ((isWritten: boolean) => void) | undefined;
  /** The connection that it was sent over. */
  #sentOver: Line | undefined;
  /** What was said while the prompt was being written. */
  #early: JsonFields[] = [];
  #asked = 0;
  #isCancelled = false;
  #isOver = false;

  constructor(host: TurnHost, request: TurnRequest, sink: TurnSink) {
    this.#host = host;
    this.#request = request;
    this.#sink = sink;
    this.#updates = new UpdateTranslator(sink, {
      costBefore: host.cost,
      terminalText: (id) => host.terminals.textOf(id),
    });
  }

  async send(signal: AbortSignal): Promise<DispatchOutcome> {
    try {
      const limit = AbortSignal.timeout(CHOOSE_LIMIT_MS);
      await this.#host.choose(this.#request, AbortSignal.any([signal, this.#withdrawn.signal, limit]));
      if (await this.#prompt()) return { kind: 'accepted' };
      const message = 'The agent was gone before it could read the prompt.';
      return { kind: 'unsent', failure: { code: 'ERR_BACKEND_EXITED', message } };
    } catch (error) {
      const { code, message } = requestError('The prompt was not sent', error);
      const isGone = code === 'ERR_BACKEND_EXITED' && !this.#withdrawn.signal.aborted;
      return { kind: isGone ? 'unsent' : 'refused', failure: { code, message } };
    }
  }

  /** What is being written is sent, and then cancelled. */
  withdraw(): void {
    this.#writing?.(true);
    this.#withdrawn.abort(new Error('the turn was cancelled'));
  }

  /** What comes before the prompt is sent is not its doing; what comes while it is written waits for that. */
  update(update: JsonFields): void {
    if (this.#isOver || !this.#sentOver) return;
    if (this.#writing) this.#early.push(update);
    else this.#updates.handle(update);
  }

  /** The agent asks for permission; the answer comes with the person's decision, and is a cancel where nobody decides. */
  askPermission(params: JsonFields): Promise<PermissionAnswer> {
    if (!this.#mayAsk) return Promise.resolve(CANCELLED);
    const id = this.#nextAsk();
    return new Promise((answer) => {
      this.#asks.set(id, { kind: 'permission', params, answer });
      this.#sink.ask(permissionAsk(id, params));
    });
  }

  /** The agent asks a question, with the same rules. */
  askQuestion(params: JsonFields): Promise<ElicitationAnswer> {
    if (!this.#mayAsk) return Promise.resolve({ action: 'cancel' });
    const id = this.#nextAsk();
    return new Promise((answer) => {
      this.#asks.set(id, { kind: 'question', params, answer });
      this.#sink.ask(questionAsk(id, params));
    });
  }

  /** The agent is told to stop, whatever it waits for is answered, and what it has not finished is cancelled. */
  async cancel(): Promise<void> {
    const isFirst = !this.#isCancelled;
    this.#isCancelled = true;
    this.hold(false);
    const { agent } = this.#host.line();
    await agent.notify(methods.agent.session.cancel, { sessionId: this.#host.agentSessionId });
    this.#cancelAsks();
    if (!isFirst) return;
    this.#updates.cancelTools();
    await this.#host.terminals.refuse();
  }

  /** An answer that does not fit leaves the question open, for one that does. */
  answer(askId: string, answer: PermissionDecision | QuestionAnswer): Promise<void> {
    return Promise.resolve().then(() => {
      const asked = this.#asks.get(askId);
      if (asked?.kind === 'permission' && 'outcome' in answer) asked.answer(permissionAnswer(asked.params, answer));
      if (asked?.kind === 'question' && 'action' in answer) asked.answer(elicitationAnswer(asked.params, answer));
      this.#asks.delete(askId);
    });
  }

  /** Not once it is cancelled: the answer to that is to be read. */
  hold(isHeld: boolean): void {
    this.#sentOver?.hold(this, isHeld && !this.#isCancelled && !this.#isOver);
  }

  end(): void {
    this.#isOver = true;
    this.hold(false);
    this.#host.over(this);
    this.#cancelAsks();
  }

  /** The process is gone: what it did not answer it never will. */
  lost(): void {
    if (!this.#answered) return; // It was not sent yet.
    this.#answered();
    const isUnread = this.#writing !== undefined && !this.#updates.hasBegun;
    this.#writing?.(!isUnread);
    if (isUnread) return; // Not all of it was written: nobody works on it.
    this.#cancelAsks();
    this.#sink.fact({ kind: 'gone' });
  }

  /** Resolves with whether the prompt is where the agent can read it. */
  #prompt(): Promise<boolean> {
    const line = this.#host.line();
    if (!line.isOpen()) return Promise.resolve(false);
    const { wire, agent } = line;
    const { agentSessionId: sessionId, advertised } = this.#host;
    const prompt = promptBlocks(this.#request.blocks, advertised);
    const said = this.#request.blocks.map((block) => (block.type === 'text' ? block.text : '')).join('');
    const isWritten = new Promise<boolean>((resolve) => {
      this.#writing = (written) => {
        this.#writing = undefined;
        const early = this.#early.splice(0);
        if (written) for (const update of early) this.#updates.handle(update);
        else this.#sentOver = undefined;
        resolve(written);
      };
    });
    this.#host.busyUntil(new Promise((resolve) => (this.#answered = resolve)));
    this.#sentOver = line;
    this.#host.terminals.allow();
    wire.watchPrompt(sessionId, {
      written: (written) => {
        if (written) this.#host.asked(said);
        this.#writing?.(written);
      },
      answered: (answer) => this.#settle(answer),
    });
    // The answer is read from the wire, in order; a failure of the connection is the end of the process life.
    agent.request(methods.agent.session.prompt, { sessionId, prompt }).catch(() => undefined);
    return isWritten;
  }

  #settle(answer: Answer): void {
    this.#writing?.(true); // It was read, then.
    this.#answered?.();
    this.#cancelAsks();
    if ('error' in answer) return this.#sink.fact({ kind: 'responded', failure: turnFailure(answer.error) });
    this.#updates.used(record(answer.result['usage']));
    this.#sink.fact({ kind: 'responded', stopReason: text(answer.result['stopReason']) ?? 'end_turn' });
  }

  get #mayAsk(): boolean {
    return this.#sentOver !== undefined && !this.#isOver && !this.#isCancelled;
  }

  #nextAsk(): string {
    this.#updates.begin();
    this.#asked += 1;
    return `ask-${this.#asked}`;
  }

  #cancelAsks(): void {
    for (const [id, asked] of this.#asks) {
      if (asked.kind === 'permission') asked.answer(CANCELLED);
      else asked.answer({ action: 'cancel' });
      this.#sink.retract(id);
    }
    this.#asks.clear();
  }
}
