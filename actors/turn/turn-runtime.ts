import {
  assess,
  type Assessment,
  type Evidence,
  NO_EVIDENCE,
  recordFact,
  type TurnFact,
} from '../../machines/policies/settlement.ts';
import type { TurnEvent, TurnLimits, TurnVerdict } from '../../machines/turn-setup.ts';
import type { AgentEvent, Usage } from '../contract/events.ts';
import type { TurnResult } from '../contract/session.ts';
import type { Clock } from '../contract/supervisor.ts';
import type { DecisionAsk, DriverTurn, TurnRequest, TurnSink } from '../ports.ts';
import { type FeedLimits, TurnFeed } from './turn-feed.ts';

/** A reader that reads nothing for this long is not waited for any longer, in milliseconds. */
const HOLD_LIMIT_MS = 10_000;

/** A turn that nobody works on, though it has no end, is given up after this, in milliseconds. */
const DOUBT_LIMIT_MS = 10_000;
const INTERRUPTED = { kind: 'interrupted' } as const;

/** What the data plane of a turn needs of the rest. */
export interface TurnPlace {
  readonly clock: Clock;
  readonly limits: TurnLimits & FeedLimits;
  /** A person is to decide. */
  ask(turn: TurnRuntime, ask: DecisionAsk): void;
  retract(turn: TurnRuntime, askId: string): void;
  settled(turn: TurnRuntime, result: TurnResult): void;
}

/** The chart of a turn, as its data plane sees it. */
export interface TurnActor {
  send(event: TurnEvent): void;
}

/**
 * The data plane of one turn: events go to its readers, facts to its evidence. Only edges reach the chart: the first
 * sign of work, and an assessment. It never throws.
 */
export class TurnRuntime implements TurnSink {
  readonly id: string;
  readonly request: TurnRequest;
  readonly feed: TurnFeed;
  readonly result: Promise<TurnResult>;
  readonly #place: TurnPlace;
  readonly #resolve: (result: TurnResult) => void;
  #driver: DriverTurn | undefined;
  #actor: TurnActor | undefined;
  #queued: TurnEvent[] = [];
  #evidence: Evidence = NO_EVIDENCE;
  #hasBegun = false;
  #doubtedSince: number | undefined;
  #lastSeenAt: number;
  #text = '';
  #truncated = false;
  #usage: Usage | undefined;
  #settled = false;
  #onSign: (() => void) | undefined;
  /** The agent waits for the readers until this timer is over. */
  #held: { readonly timer: unknown } | undefined;

  constructor(id: string, request: TurnRequest, place: TurnPlace) {
    this.id = id;
    this.request = request;
    this.#place = place;
    this.feed = new TurnFeed(place.limits, (isBehind) => this.#hold(isBehind));
    this.#lastSeenAt = place.clock.now();
    let resolve!: (result: TurnResult) => void;
    this.result = new Promise((settle) => (resolve = settle));
    this.#resolve = resolve;
  }

  get limits(): TurnLimits {
    return this.#place.limits;
  }

  get isSettled(): boolean {
    return this.#settled;
  }

  get isBound(): boolean {
    return this.#actor !== undefined;
  }

  /** The prompt on the backend, while the turn is the running one. */
  get driver(): DriverTurn | undefined {
    return this.#driver;
  }

  /** While the agent waits for the readers, its silence says nothing. */
  get lastSeenAt(): number {
    return this.#held ? this.#place.clock.now() : this.#lastSeenAt;
  }

  /** Whether the backend may still be working on it. */
  get mayBeWorking(): boolean {
    return this.#driver !== undefined && !this.#evidence.quiet;
  }

  /** The chart's actor runs: what was sent before goes to it now. */
  bind(actor: TurnActor): void {
    this.#actor = actor;
    const queued = this.#queued;
    this.#queued = [];
    for (const event of queued) actor.send(event);
  }

  /** In order, and never from within an action of another chart: charts are not reentered. */
  send(event: TurnEvent): void {
    queueMicrotask(() => this.#deliver(event));
  }

  /** It is the turn's place in the line. */
  admit(driver: DriverTurn): void {
    this.#driver = driver;
    this.touch();
    this.send({ type: 'turn.admit', at: this.#place.clock.now() });
  }

  /** The prompt is about to be sent (again): what was known of an earlier sending no longer counts. */
  beginDispatch(): void {
    this.#evidence = NO_EVIDENCE;
    this.#hasBegun = false;
    this.touch();
  }

  /** Called at the first sign of work from now on, for a cancel that was too early. */
  onSign(listener: (() => void) | undefined): void {
    this.#onSign = listener;
  }

  /** Settles the turn, once: tells the readers and the host. */
  settle(verdict: TurnVerdict): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#driver?.end();
    this.feed.end();
    const result = this.#resultOf(verdict);
    try {
      this.#place.settled(this, result);
    } finally {
      this.#resolve(result); // Whoever waited for it can rely on what was told.
    }
  }

  emit(event: AgentEvent): void {
    if (this.#settled) return;
    this.touch();
    if (event.type === 'text' && !event.origin) this.#keepText(event.text);
    if (event.type === 'usage' && !event.origin) this.#usage = event.usage;
    this.feed.push(event);
  }

  unsay(characters: number): void {
    this.#text = this.#text.slice(0, Math.max(0, this.#text.length - characters));
  }

  touch(): void {
    this.#lastSeenAt = this.#place.clock.now();
  }

  fact(fact: TurnFact): void {
    if (this.#settled) return;
    if (fact.kind !== 'reconciled') this.touch();
    this.#evidence = recordFact(this.#evidence, fact);
    if (this.#evidence.began) this.#began();
    const assessment = assess(this.#evidence);
    if (assessment?.kind !== 'doubtful') this.#doubtedSince = undefined;
    if (!assessment) return;
    const at = this.#place.clock.now();
    this.send({ type: 'turn.assessed', at, assessment: this.#isDoubtOver(assessment, at) ? INTERRUPTED : assessment });
  }

  /** A server that says again and again that nobody works on it is not the one that began it, or has forgotten it. */
  #isDoubtOver({ kind }: Assessment, at: number): boolean {
    if (kind !== 'doubtful') return false;
    this.#doubtedSince ??= at;
    return at - this.#doubtedSince >= DOUBT_LIMIT_MS;
  }

  ask(ask: DecisionAsk): void {
    if (this.#settled) return;
    this.touch();
    this.#place.ask(this, ask);
  }

  retract(askId: string): void {
    this.#place.retract(this, askId);
  }

  /** The agent waits while its readers read at all; one that has stopped loses the oldest, and is told. */
  #hold(isBehind: boolean): void {
    const { clock } = this.#place;
    if (this.#held) clock.clearTimeout(this.#held.timer);
    this.touch();
    const readTo = this.feed.readTo;
    const timer = isBehind && clock.setTimeout(() => this.#hold(this.feed.readTo > readTo), HOLD_LIMIT_MS);
    this.#held = isBehind ? { timer } : undefined;
    this.#driver?.hold(isBehind);
  }

  #deliver(event: TurnEvent): void {
    if (this.#settled) return;
    if (this.#actor) this.#actor.send(event);
    else this.#queued.push(event);
  }

  #began(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.send({ type: 'turn.began', at: this.#place.clock.now() });
    const onSign = this.#onSign;
    this.#onSign = undefined;
    onSign?.();
  }

  #keepText(text: string): void {
    const room = this.#place.limits.maxTextBytes - this.#text.length;
    if (room >= text.length) this.#text += text;
    else if (!this.#truncated) {
      this.#text += text.slice(0, Math.max(0, room));
      this.#truncated = true;
      this.feed.push({ type: 'dropped', count: 1 });
    }
  }

  /** What may have been run is not to be run again because nobody heard of its end. */
  #isRetryable({ code, retryable }: { readonly code: string; readonly retryable?: boolean }): boolean {
    return retryable ?? (RETRYABLE.has(code) && !this.#evidence.began);
  }

  #resultOf(verdict: TurnVerdict): TurnResult {
    const failure = 'failure' in verdict ? verdict.failure : undefined;
    return {
      outcome: verdict.outcome,
      text: this.#text,
      ...(verdict.outcome === 'completed' && verdict.stopReason !== undefined
        ? { stopReason: verdict.stopReason }
        : {}),
      ...(verdict.outcome === 'cancelled' ? { stopReason: 'cancelled' } : {}),
      ...(this.#usage ? { usage: this.#usage } : {}),
      ...(failure
        ? { error: { code: failure.code, message: failure.message, retryable: this.#isRetryable(failure) } }
        : {}),
    };
  }
}

const RETRYABLE: ReadonlySet<string> = new Set([
  'ERR_BACKEND_EXITED',
  'ERR_EXITED_BEFORE_READY',
  'ERR_OPEN_TIMEOUT',
  'ERR_POOL_FULL',
  'ERR_QUEUE_FULL',
  'ERR_READY_TIMEOUT',
  'ERR_RESTART_LIMIT',
  'ERR_STREAM_FAILED',
  'ERR_STREAM_STALLED',
]);
