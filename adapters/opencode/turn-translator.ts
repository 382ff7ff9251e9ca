import type { AgentEvent, DecisionAsk, TurnSink } from '../../actors/ports.ts';
import { type OpencodeEvent, sessionIdOf } from './decode-event.ts';
import type { DecodedMessage, DecodedPart, DecodedTool, DecodedUsage } from './decode-parts.ts';
import { isoTime, present } from '../json.ts';
import { type LedgerEntry, PartLedger } from './part-ledger.ts';
import { TurnThread } from './turn-thread.ts';
import { askOfPermission, askOfQuestion, planEvent, stopReasonOf, toolCallOf, usageEvent } from './vocabulary.ts';

/** Steps that end like this are followed by another one. */
const UNFINISHED: ReadonlySet<string | undefined> = new Set(['tool-calls', 'unknown', undefined]);

type Origin = { readonly subagentSessionId: string } | undefined;

/** One agent session inside a turn: the turn's own, or a subagent's. */
class Voice {
  readonly ledger = new PartLedger();
  /** Assistant messages that belong to the turn, and whether each is complete. */
  readonly messages = new Map<string, boolean>();
  /** Summaries of the session made meanwhile: work, but not said to anybody. */
  readonly summaries = new Set<string>();
  /** The ends of steps that are known. */
  readonly steps = new Set<string>();
  /** What was told last of each tool: the same is not told again when it is only listed again. */
  readonly tools = new Map<string, string>();
  readonly origin: Origin;

  constructor(origin: Origin) {
    this.origin = origin;
  }
}

/** Whose turn it is, and by which message it is known. */
export interface TurnIdentity {
  readonly sessionId: string;
  readonly directory: string;
  readonly messageId: string;
}

/**
 * Turns what a server says of one turn into events for the host and evidence for its settlement. Only messages that
 * belong to this turn count: a late word of an earlier turn settles nothing.
 */
export class TurnTranslator {
  readonly sessionId: string;
  readonly directory: string;
  readonly messageId: string;
  readonly #sink: TurnSink;
  readonly #thread: TurnThread;
  readonly #voices = new Map<string, Voice>();
  readonly #usages = new Map<string, DecodedUsage>();
  /** Requests that wait for an answer, and who asks; and all that were ever asked. */
  readonly #asked = new Map<string, Voice>();
  readonly #seen = new Set<string>();

  constructor({ sessionId, directory, messageId }: TurnIdentity, sink: TurnSink) {
    this.sessionId = sessionId;
    this.directory = directory;
    this.messageId = messageId;
    this.#sink = sink;
    this.#thread = new TurnThread(messageId);
    this.#voices.set(sessionId, new Voice(undefined));
  }

  /** The turn's own session and the subagents' sessions. */
  sessionIds(): Iterable<string> {
    return this.#voices.keys();
  }

  /** Whether the server was seen to answer this turn. */
  hasBegun(): boolean {
    const own = this.#voices.get(this.sessionId);
    return own !== undefined && own.messages.size + own.summaries.size > 0;
  }

  /** A subagent's session belongs to this turn from now on. */
  adopt(subagentSessionId: string): void {
    if (!this.#voices.has(subagentSessionId)) this.#voices.set(subagentSessionId, new Voice({ subagentSessionId }));
  }

  markGap(): void {
    for (const voice of this.#voices.values()) voice.ledger.markGap();
  }

  handle(event: OpencodeEvent, live = true): void {
    const voice = this.#voices.get(sessionIdOf(event) ?? '');
    if (!voice) return;
    switch (event.type) {
      case 'delta':
        return this.#delta(voice, event);
      case 'part':
        return this.#part(voice, event, live);
      case 'message':
        return this.#message(voice, event.message);
      case 'busy':
        return this.#fact(voice, { kind: 'working' });
      case 'idle':
        return this.#fact(voice, { kind: 'quiet' });
      case 'retry':
        return this.#retry(voice, event);
      case 'error':
        return event.aborted ? undefined : this.#fact(voice, { kind: 'session-errored', failure: event.failure });
      case 'permission':
        return this.#ask(voice, askOfPermission(event.permission, voice.origin), event.permission.messageId, live);
      case 'question':
        return this.#ask(voice, askOfQuestion(event.question, voice.origin), event.question.messageId, live);
      case 'permission-replied':
      case 'question-replied':
        return this.#replied(event.requestId, event.rejected);
      case 'plan':
        return this.#emit(voice, planEvent(event.entries));
      case 'unknown':
        return this.#emit(voice, { type: 'unknown', raw: event.raw });
      case 'session':
        return undefined;
    }
  }

  /** The requests that were asked and not answered yet, as far as is known. */
  pendingAsks(): ReadonlySet<string> {
    return new Set(this.#asked.keys());
  }

  /** The server no longer lists the request: it was answered elsewhere, or is gone. */
  forgetAsk(requestId: string): void {
    if (this.#asked.delete(requestId)) this.#sink.retract(requestId);
  }

  /** A rejection of ours reached the server. It ends the work of the one who asked: a subagent's is not the turn's. */
  rejected(requestId: string): void {
    if (this.#asked.get(requestId)?.origin === undefined) this.#sink.fact({ kind: 'rejected' });
  }

  #delta(voice: Voice, event: Extract<OpencodeEvent, { type: 'delta' }>): void {
    const kind = voice.ledger.kindOf(event.partId);
    if (kind && voice.messages.has(event.messageId)) {
      this.#tell(voice, kind, voice.ledger.delta(event.partId, event.text), event.messageId);
    }
  }

  #part(voice: Voice, { messageId, partId, part }: Extract<OpencodeEvent, { type: 'part' }>, live: boolean): void {
    if (!voice.origin) this.#thread.notePart(messageId, part);
    if (voice.summaries.has(messageId) && part.kind === 'step-finish') this.#usage(voice, partId, part.usage);
    if (!voice.messages.has(messageId)) return;
    if (part.kind === 'tool') this.#tool(voice, part.tool);
    else if (part.kind === 'step-finish') this.#stepFinish(voice, partId, part);
    else if (part.kind === 'text' || part.kind === 'reasoning') {
      const entry = voice.ledger.snapshot({ id: partId, live, ...part });
      this.#tell(voice, part.kind, entry, messageId);
    }
  }

  #tell(voice: Voice, kind: 'text' | 'reasoning', { text, unsaid }: LedgerEntry, messageId: string): void {
    if (unsaid > 0 && kind === 'text' && !voice.origin) this.#sink.unsay(unsaid);
    if (text !== '') this.#emit(voice, { type: kind, text, messageId });
  }

  #tool(voice: Voice, tool: DecodedTool): void {
    if (tool.childSessionId !== undefined) this.adopt(tool.childSessionId);
    const told = [tool.status, tool.title, tool.output?.length, tool.error, tool.input !== undefined].join('|');
    if (voice.tools.get(tool.callId) === told) return;
    voice.tools.set(tool.callId, told);
    this.#emit(voice, { type: 'tool', tool: toolCallOf(tool) });
  }

  #stepFinish(voice: Voice, partId: string, part: Extract<DecodedPart, { kind: 'step-finish' }>): void {
    if (voice.steps.has(partId)) return; // Listed once more: what streams now is another step.
    voice.steps.add(partId);
    const { unsaid } = voice.ledger.endStep();
    if (unsaid > 0 && !voice.origin) this.#sink.unsay(unsaid);
    this.#usage(voice, partId, part.usage);
  }

  #usage(voice: Voice, partId: string, usage: DecodedUsage): void {
    if (voice.origin || this.#usages.has(partId)) return;
    this.#usages.set(partId, usage);
    this.#emit(voice, usageEvent([...this.#usages.values()]));
  }

  #message(voice: Voice, message: DecodedMessage): void {
    if (message.role === 'user' && !voice.origin) this.#thread.note(message);
    if (!this.#isAnswer(voice, message)) return;
    const isKnown = voice.summaries.has(message.id) || voice.messages.has(message.id);
    const wasComplete = voice.messages.get(message.id) === true;
    if (message.summary) voice.summaries.add(message.id);
    else voice.messages.set(message.id, wasComplete || message.completed);
    if (voice.origin) return;
    this.#thread.note(message);
    if (!isKnown) this.#sink.fact({ kind: 'step-began' });
    if (message.failure) this.#sink.fact({ kind: 'errored', failure: message.failure });
    else if (message.aborted) this.#sink.fact({ kind: 'aborted' });
    else if (message.completed && !message.summary && !wasComplete) this.#stepEnded(message);
  }

  /** A subagent's messages answer the prompts of the agent that started it: all of them belong to this turn. */
  #isAnswer(voice: Voice, message: DecodedMessage): boolean {
    return voice.origin ? message.role === 'assistant' : this.#thread.owns(message);
  }

  #stepEnded({ finish }: DecodedMessage): void {
    const last = !UNFINISHED.has(finish);
    this.#sink.fact({
      kind: 'step-ended',
      last,
      ...(finish === undefined ? {} : { stopReason: stopReasonOf(finish) }),
    });
  }

  #retry(voice: Voice, event: Extract<OpencodeEvent, { type: 'retry' }>): void {
    voice.ledger.repeatStep();
    this.#fact(voice, { kind: 'working' });
    this.#emit(voice, {
      type: 'retry',
      attempt: event.attempt,
      message: event.message,
      ...present('nextAt', isoTime(event.nextAt)),
    });
  }

  #ask(voice: Voice, ask: DecisionAsk, messageId: string | undefined, live: boolean): void {
    if (this.#seen.has(ask.id) || ask.id === '') return;
    const isKnown = messageId === undefined ? live : voice.messages.has(messageId);
    if (!isKnown && !voice.origin) return;
    this.#seen.add(ask.id);
    this.#asked.set(ask.id, voice);
    this.#sink.ask(ask);
  }

  #replied(requestId: string, rejected: boolean): void {
    const voice = this.#asked.get(requestId);
    if (!voice) return;
    if (rejected) this.rejected(requestId);
    this.#asked.delete(requestId);
    this.#sink.retract(requestId);
  }

  /** Evidence comes from the turn's own session: a subagent is busy and idle on its own account. */
  #fact(voice: Voice, fact: Parameters<TurnSink['fact']>[0]): void {
    if (voice.origin) this.#sink.touch();
    else this.#sink.fact(fact);
  }

  #emit(voice: Voice, event: AgentEvent): void {
    this.#sink.emit(voice.origin ? { ...event, origin: voice.origin } : event);
  }
}
