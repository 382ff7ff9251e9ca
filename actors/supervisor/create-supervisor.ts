import { AgentBackend } from '../agent/agent-backend.ts';
import { PoolHandle } from '../agent/pool-handle.ts';
import { ServerBackend } from '../server/server-backend.ts';
import { ServerHandle } from '../server/server-handle.ts';
import type { PermissionDecision, PermissionRequest, QuestionAnswer, QuestionRequest } from '../contract/events.ts';
import type { OpenSessionOptions, Session } from '../contract/session.ts';
import type { SupervisorStatus } from '../contract/status.ts';
import type {
  BackendHandle,
  Backends,
  Supervisor,
  SupervisorEvents,
  SupervisorOptions,
} from '../contract/supervisor.ts';
import { isDecisionFor } from '../decisions/decision-shape.ts';
import { SessionBook } from '../session/session-book.ts';
import { expectDuration, expectFunction, expectObject, expectOneOf, invalidOption, optional } from '../validation.ts';
import { resolveSupervisorOptions } from './options.ts';
import { SupervisorRuntime } from './runtime.ts';

const EVENTS = ['transition', 'session', 'turn', 'recovery', 'decision', 'warning'] as const;

/** What `decide()` takes for a request. */
const ANSWERS = {
  permission: 'a decision for a permission, such as { outcome: "allow_once" }',
  question: 'an answer to a question, such as { action: "accept", answers: [["…"]] } with a list for each question',
} as const;

/** Time that running turns have to end by themselves when the supervisor stops, in milliseconds. */
const STOP_GRACE_MS = 5_000;

/**
 * Creates a supervisor. Nothing is started before it is used.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for options that are unknown, malformed or contradictory.
 */
export function createSupervisor<const B extends Backends>(options: SupervisorOptions<B>): Supervisor<B> {
  return new SupervisorImplementation(
    new SupervisorRuntime(resolveSupervisorOptions(options)),
  ) as unknown as Supervisor<B>;
}

class SupervisorImplementation implements Supervisor {
  readonly #runtime: SupervisorRuntime;
  readonly #sessions: SessionBook;
  readonly #handles = new Map<string, BackendHandle>();
  #stopped: Promise<void> | undefined;

  constructor(runtime: SupervisorRuntime) {
    this.#runtime = runtime;
    this.#sessions = new SessionBook(runtime);
    for (const [id, backend] of runtime.backends) {
      if (backend instanceof ServerBackend) this.#handles.set(id, new ServerHandle(runtime, backend));
      if (backend instanceof AgentBackend) this.#handles.set(id, new PoolHandle(runtime, backend));
    }
  }

  openSession(options: OpenSessionOptions): Promise<Session> {
    return this.#whileAwaited(this.#sessions.open(options));
  }

  backend(id: string): BackendHandle {
    this.#runtime.backend(id);
    return this.#handles.get(id) as BackendHandle;
  }

  status(): SupervisorStatus {
    const backends = [...this.#runtime.backends.values()].map((backend) => [backend.id, backend.status()] as const);
    return { state: this.#runtime.state, backends: Object.fromEntries(backends), sessions: this.#sessions.statuses() };
  }

  pendingDecisions(): readonly (PermissionRequest | QuestionRequest)[] {
    return this.#runtime.decisions.pending();
  }

  decide(requestId: string, answer: PermissionDecision | QuestionAnswer): boolean {
    const request = this.pendingDecisions().find(({ id }) => id === requestId);
    if (!request) return false;
    if (!isDecisionFor(request, answer)) throw invalidOption('answer', ANSWERS[request.type], answer);
    return this.#runtime.decisions.decide(requestId, answer);
  }

  on<K extends keyof SupervisorEvents>(event: K, listener: (payload: SupervisorEvents[K]) => void): () => void {
    expectOneOf('event', event, EVENTS);
    expectFunction('listener', listener);
    return this.#runtime.emitter.on(event, listener);
  }

  stop(options: { graceMs?: number } = {}): Promise<void> {
    const given = expectObject('stop()', options, ['graceMs']);
    const graceMs = optional(given['graceMs'], (value) => expectDuration('graceMs', value, 0)) ?? STOP_GRACE_MS;
    const stopping = this.#runtime.stop(graceMs);
    this.#stopped ??= stopping;
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #whileAwaited<T>(work: Promise<T>): Promise<T> {
    return work.finally(this.#runtime.keepAlive.hold());
  }
}
