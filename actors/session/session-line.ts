import type { TurnResult } from '../contract/session.ts';
import { decisionEvent, requestOf } from '../decisions/decision-request.ts';
import type { DecisionAsk, TurnRequest } from '../ports.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import { type TurnPlace, TurnRuntime } from '../turn/turn-runtime.ts';
import type { TurnLimits } from '../../machines/turn-setup.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import { toFailure } from '../errors.ts';
import type { SessionRecord } from './session-record.ts';

/** The turns of one session: one at a time, in call order, each settled once. */
export class SessionLine {
  readonly #runtime: SupervisorRuntime;
  readonly #session: SessionRecord;

  constructor(runtime: SupervisorRuntime, session: SessionRecord) {
    this.#runtime = runtime;
    this.#session = session;
    session.admitNext = () => this.#admitNext();
  }

  /** Puts a prompt at the end of the line. Whatever is wrong with it settles the turn. */
  enter(id: string, request: TurnRequest, limits: Partial<TurnLimits>): TurnRuntime {
    const turn = new TurnRuntime(id, request, this.#placeOf(limits));
    const refusal = this.#refusal();
    if (refusal) {
      turn.settle({ outcome: 'failed', failure: refusal });
      return turn;
    }
    void turn.result.then(this.#runtime.keepAlive.hold());
    this.#session.queue.push(turn);
    const withdrawDecisions = (options: { readonly tell: boolean }) => this.#withdraw(turn, options);
    const remember = () => this.#runtime.memory.noteSending(this.#session, turn);
    this.#runtime.openTurn({ turn, session: this.#session, withdrawDecisions, remember });
    this.#admitNext();
    return turn;
  }

  #refusal(): Failure | undefined {
    const { maxQueued } = this.#runtime.options.turn;
    if (this.#runtime.state !== 'running')
      return { code: 'ERR_STOPPED', message: 'The supervisor is stopping or stopped.' };
    if (this.#session.closed) return this.#session.closed;
    if (this.#session.queue.length < maxQueued || !this.#session.running) return undefined;
    const message = `The session already has ${maxQueued} waiting turns. Wait for one to settle, or raise turn.maxQueued.`;
    return { code: 'ERR_QUEUE_FULL', message };
  }

  #placeOf(limits: Partial<TurnLimits>): TurnPlace {
    return {
      clock: this.#runtime.clock,
      limits: { ...this.#runtime.options.turn, ...given(limits) },
      ask: (turn, ask) => this.#ask(turn, ask),
      retract: (turn, askId) => this.#runtime.decisions.withdraw(decisionId(turn, askId), { tell: false }),
      settled: (turn, result) => this.#settled(turn, result),
    };
  }

  #admitNext(): void {
    const turn = this.#session.carrier.isDraining ? undefined : this.#session.next();
    if (!turn) return;
    this.#session.carrier.changeDemand({ turns: 1 });
    try {
      turn.admit(this.#session.driver.begin(turn.request, turn));
      this.#runtime.memory.noteTurn(this.#session, turn);
      this.#runtime.emitter.emit('turn', { type: 'started', ...this.#named(turn) });
    } catch (error) {
      turn.send({ type: 'turn.abandon', at: this.#runtime.clock.now(), failure: toFailure(error) });
    }
  }

  #settled(turn: TurnRuntime, result: TurnResult): void {
    const wasRunning = this.#session.running === turn;
    this.#session.leave(turn);
    this.#runtime.memory.noteSettled(this.#session, turn, result.outcome === 'indeterminate');
    this.#runtime.emitter.emit('turn', { type: 'settled', ...this.#named(turn), result });
    if (wasRunning && result.outcome === 'indeterminate') this.#tellInterrupted(turn);
    if (wasRunning) this.#session.carrier.changeDemand({ turns: -1 });
    this.#admitNext();
  }

  /** The host may continue it: nothing does that by itself. */
  #tellInterrupted(turn: TurnRuntime): void {
    const { chatId, backendId: backend } = this.#session.settings;
    const { id: sessionId } = this.#session;
    this.#runtime.emitter.emit('session', { type: 'interrupted', sessionId, chatId, backend, turnId: turn.id });
  }

  #named(turn: TurnRuntime) {
    return { turnId: turn.id, sessionId: this.#session.id, backend: this.#session.settings.backendId };
  }

  #ask(turn: TurnRuntime, ask: DecisionAsk): void {
    const { clock, decisions, options } = this.#runtime;
    const { decisionTimeoutMs } = options.turn;
    const expiresAt = new Date(clock.wallNow() + decisionTimeoutMs).toISOString();
    if (decisions.has(decisionId(turn, ask.id))) return;
    const request = requestOf(ask, { ...this.#naming(turn, ask.id), expiresAt });
    const { onPermission = options.onPermission, onQuestion = options.onQuestion } = this.#session.settings;
    turn.emit(decisionEvent(ask, request));
    turn.send({ type: 'decision.asked', at: clock.now() });
    decisions.open({
      request,
      handlers: { onPermission, onQuestion },
      timeoutMs: decisionTimeoutMs,
      deliver: async (decision, signal) => {
        if (turn.isSettled || !turn.driver) return;
        await turn.driver.answer(ask.id, decision, signal);
      },
      closed: (decision) => {
        if (decision !== undefined) turn.emit(decisionEvent(ask, request, decision));
        turn.send({ type: 'decision.closed', at: clock.now() });
      },
    });
  }

  #naming(turn: TurnRuntime, askId: string) {
    const { chatId } = this.#session.settings;
    const { directory } = this.#session.driver;
    return {
      id: decisionId(turn, askId),
      sessionId: this.#session.id,
      chatId,
      turnId: turn.id,
      directory,
      backend: this.#session.settings.backendId,
    };
  }

  #withdraw(turn: TurnRuntime, options: { readonly tell: boolean }): void {
    for (const request of this.#runtime.decisions.pending()) {
      if (request.turnId === turn.id) this.#runtime.decisions.withdraw(request.id, options);
    }
  }
}

/** Stable over reconnects, and unique among all pending requests. */
const decisionId = (turn: TurnRuntime, askId: string): string => `${turn.id}:${askId}`;

/** The limits that were given: an option that is `undefined` is none. */
function given(limits: Partial<TurnLimits>): Partial<TurnLimits> {
  const entries: [string, number | undefined][] = Object.entries(limits);
  return Object.fromEntries(entries.filter(([, limit]) => limit !== undefined));
}
