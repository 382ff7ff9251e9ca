import { messageOf, SupervisorError } from '../errors.ts';
import type { PermissionDecision, PermissionRequest, QuestionAnswer, QuestionRequest } from '../contract/events.ts';
import type { PermissionHandler, QuestionHandler } from '../contract/session.ts';
import type { Clock, Logger, SupervisorEvents } from '../contract/supervisor.ts';
import { isDecisionFor } from './decision-shape.ts';

export type DecisionRequest = PermissionRequest | QuestionRequest;
export type Decision = PermissionDecision | QuestionAnswer;

interface Handlers {
  readonly onPermission: PermissionHandler | undefined;
  readonly onQuestion: QuestionHandler | undefined;
}

/** Where a decision comes from and where it goes. */
export interface DecisionCase {
  readonly request: DecisionRequest;
  readonly handlers: Handlers;
  readonly timeoutMs: number;
  /** Takes the decision to the agent. Rejects where that failed and may be tried again. */
  deliver(decision: Decision, signal: AbortSignal): Promise<void>;
  /** The request is open no more; `decision` is absent where it was withdrawn or is gone. */
  closed(decision: Decision | undefined): void;
}

interface OpenCase extends DecisionCase {
  readonly over: AbortController;
  timer: unknown;
}

/** A decision that could not be delivered is delivered again after this, in milliseconds. */
const REDELIVER_MS = 1_000;

export interface DecisionDeskOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly emit: (event: SupervisorEvents['decision']) => void;
  readonly warn: (warning: SupervisorEvents['warning']) => void;
}

/**
 * Takes what agents ask to the people who decide. Every request is closed exactly once: by an answer, by its time limit
 * (a rejection), or because it is gone. Nothing is ever allowed because nobody answered.
 */
export class DecisionDesk {
  readonly #options: DecisionDeskOptions;
  readonly #open = new Map<string, OpenCase>();

  constructor(options: DecisionDeskOptions) {
    this.#options = options;
  }

  pending(): readonly DecisionRequest[] {
    return [...this.#open.values()].map(({ request }) => request);
  }

  has(requestId: string): boolean {
    return this.#open.has(requestId);
  }

  open(decisionCase: DecisionCase): void {
    const { request, timeoutMs } = decisionCase;
    if (this.#open.has(request.id)) return;
    const timer = this.#options.clock.setTimeout(() => this.#expire(request.id), timeoutMs);
    const opened: OpenCase = { ...decisionCase, over: new AbortController(), timer };
    this.#open.set(request.id, opened);
    this.#options.emit({ type: 'asked', request });
    void this.#consult(opened);
  }

  /** Closes a request with a decision; `false` where it is no longer pending. */
  decide(requestId: string, decision: Decision): boolean {
    const opened = this.#take(requestId);
    if (!opened) return false;
    this.#options.emit({ type: 'decided', request: opened.request, answer: decision });
    this.#deliver(opened, decision);
    opened.closed(decision);
    return true;
  }

  /** Closes a request that nobody needs to decide any more. `tell`: the agent still waits for an answer. */
  withdraw(requestId: string, { tell }: { readonly tell: boolean }): void {
    const opened = this.#take(requestId);
    if (!opened) return;
    if (tell) this.#deliver(opened, cancelledFor(opened.request));
    opened.closed(undefined);
  }

  #take(requestId: string): OpenCase | undefined {
    const opened = this.#open.get(requestId);
    if (!opened) return undefined;
    this.#open.delete(requestId);
    this.#options.clock.clearTimeout(opened.timer);
    opened.over.abort();
    return opened;
  }

  #expire(requestId: string): void {
    const opened = this.#take(requestId);
    if (!opened) return;
    const decision = rejectionFor(opened.request);
    this.#options.emit({ type: 'expired', request: opened.request, answer: decision });
    this.#deliver(opened, decision);
    opened.closed(decision);
  }

  /** A handler that throws, or answers with what is no answer, rejects. */
  async #consult(opened: OpenCase): Promise<void> {
    const { request } = opened;
    try {
      const decision = await consultHandler(opened);
      if (decision === undefined) return;
      if (!isDecisionFor(request, decision))
        throw new TypeError(`a ${request.type} handler answered with ${JSON.stringify(decision)}`);
      this.decide(request.id, decision);
    } catch (error) {
      const message = `The ${request.type} handler failed: ${messageOf(error)}. The request is rejected.`;
      const { id: requestId, backend, sessionId } = request;
      this.#options.logger.error({ err: error, requestId, backend, sessionId }, message);
      this.#options.warn({ code: 'ERR_INVALID_OPTION', message, backend, sessionId });
      this.decide(request.id, rejectionFor(request));
    }
  }

  /** An answer that the agent does not take rejects; a rejection that it does not take is left to the turn's own clocks. */
  #refused(opened: OpenCase, decision: Decision, error: unknown): void {
    const { id: requestId, backend, sessionId } = opened.request;
    const message = `The agent refused the answer to ${requestId}: ${messageOf(error)}`;
    this.#options.logger.error({ err: error, requestId, backend, sessionId }, message);
    this.#options.warn({ code: 'ERR_INVALID_OPTION', message, backend, sessionId });
    if (!isRejection(decision)) this.#deliver(opened, rejectionFor(opened.request));
  }

  #deliver(opened: OpenCase, decision: Decision): void {
    const attempt = new AbortController();
    opened.deliver(decision, attempt.signal).catch((error: unknown) => {
      if (isRefused(error)) return this.#refused(opened, decision, error);
      this.#options.logger.warn(
        { err: error, requestId: opened.request.id },
        'A decision did not reach the agent; it is sent again.',
      );
      this.#options.clock.setTimeout(() => this.#deliver(opened, decision), REDELIVER_MS);
    });
  }
}

/** The agent does not take this answer, and never will. */
function isRefused(error: unknown): boolean {
  return error instanceof SupervisorError && error.code === 'ERR_INVALID_OPTION';
}

/** Without a handler the request is rejected at once; a handler without an answer leaves it to `decide()`. */
async function consultHandler({ request, handlers, over }: OpenCase): Promise<Decision | undefined> {
  const context = { signal: over.signal };
  if (request.type === 'permission') {
    return handlers.onPermission ? handlers.onPermission(request, context) : rejectionFor(request);
  }
  return handlers.onQuestion ? handlers.onQuestion(request, context) : rejectionFor(request);
}

function isRejection(decision: Decision): boolean {
  return 'outcome' in decision ? !decision.outcome.startsWith('allow') : decision.action !== 'accept';
}

function rejectionFor(request: DecisionRequest): Decision {
  return request.type === 'permission' ? { outcome: 'reject_once' } : { action: 'decline' };
}

function cancelledFor(request: DecisionRequest): Decision {
  return request.type === 'permission' ? { outcome: 'cancelled' } : { action: 'cancel' };
}
