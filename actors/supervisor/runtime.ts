import { type Actor, createActor } from 'xstate';
import type { BackoffInput } from '../../machines/backoff-machine.ts';
import { MAX_GROUP_CHILDREN } from '../../machines/group-machine.ts';
import { withJitter } from '../../machines/policies/backoff.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import { admitRestart } from '../../machines/policies/restart-policy.ts';
import type { ServerEvent } from '../../machines/life-setup.ts';
import { backendActorId, type SupervisorEvent } from '../../machines/supervisor-setup.ts';
import type { StateChange } from '../backend/life-runtime.ts';
import { ServerBackend } from '../server/server-backend.ts';
import { reasonOf } from '../backend/transition-reason.ts';
import type { LifecycleState, SupervisorStatus } from '../contract/status.ts';
import type { SupervisorEvents } from '../contract/supervisor.ts';
import { KeepAlive } from '../defaults/keep-alive.ts';
import { DecisionDesk } from '../decisions/decision-desk.ts';
import { messageOf, SupervisorError, toFailure } from '../errors.ts';
import type { Registry, StreamChange, TurnEntry } from '../registry.ts';
import { Scope } from '../scope.ts';
import type { StreamRuntime } from '../stream/stream-runtime.ts';
import type { TurnRuntime } from '../turn/turn-runtime.ts';
import { Emitter } from './emitter.ts';
import type { ResolvedSupervisorOptions } from './options.ts';
import { provideSupervisor, type RootObserver } from './supervisor-implementation.ts';

/** Charts that break are restarted within this intensity, each for itself. */
const CHART_INTENSITY = { maxRestarts: 5, windowMs: 180_000 };

/** Everything that is alive in one supervisor: the root actor, the backends, the turns, the decisions. */
export class SupervisorRuntime implements Registry, RootObserver {
  readonly options: ResolvedSupervisorOptions;
  readonly clock;
  readonly logger;
  readonly random;
  readonly emitter: Emitter;
  readonly keepAlive = new KeepAlive();
  readonly decisions: DecisionDesk;
  readonly backends = new Map<string, ServerBackend>();
  state: SupervisorStatus['state'] = 'running';
  readonly #turns = new Map<string, TurnEntry>();
  readonly #bySlot = new Map<number, TurnEntry>();
  readonly #onStopped: (() => void)[] = [];
  readonly #root: Actor<ReturnType<typeof provideSupervisor>>;

  constructor(options: ResolvedSupervisorOptions) {
    this.options = options;
    this.clock = options.clock;
    this.logger = options.logger;
    this.random = options.random;
    this.emitter = new Emitter(this.logger);
    this.decisions = new DecisionDesk({
      clock: this.clock,
      logger: this.logger,
      emit: (event) => this.emitter.emit('decision', event),
      warn: (warning) => this.emitter.emit('warning', warning),
    });
    for (const id of Object.keys(options.backends)) this.backends.set(id, this.#createBackend(id));
    this.#root = createActor(provideSupervisor(this, this), { clock: this.clock, input: this.#rootInput() });
    this.#root.subscribe({ error: (error) => this.#rootFailed(error) });
    this.#root.start();
  }

  backend(backendId: string): ServerBackend {
    const backend = this.backends.get(backendId);
    if (backend) return backend;
    const known = [...this.backends.keys()].join(', ');
    throw new SupervisorError('ERR_UNKNOWN_BACKEND', `There is no backend "${backendId}"; there is ${known}.`);
  }

  stream(backendId: string, streamId: string): StreamRuntime {
    const stream = this.backend(backendId).streamById(streamId);
    if (!stream) throw new Error(`There is no stream ${streamId} of ${backendId}.`);
    return stream;
  }

  turn(turnId: string): TurnEntry {
    const entry = this.#turns.get(turnId);
    if (!entry) throw new Error(`There is no turn ${turnId}.`);
    return entry;
  }

  backoffDelay({ delayMs, jitter }: BackoffInput): number {
    return withJitter(delayMs, jitter, this.random());
  }

  /** Gives a turn its actor. It takes a place in a group; the place is free again when the actor is gone. */
  openTurn(entry: TurnEntry): void {
    const slot = this.#freeSlot();
    this.#turns.set(entry.turn.id, entry);
    this.#bySlot.set(slot, entry);
    const input = { turnId: entry.turn.id, ...entry.turn.limits };
    const groupId = `turns-${Math.floor(slot / MAX_GROUP_CHILDREN)}`;
    this.#send({ type: 'supervisor.openTurn', groupId, childId: `turn-${slot}`, input });
  }

  /** Resolves when every child is gone. Asking again escalates. */
  async stop(graceMs: number): Promise<void> {
    const letGo = this.keepAlive.hold();
    await this.#drain(graceMs).finally(letGo);
  }

  async #drain(graceMs: number): Promise<void> {
    if (this.state !== 'stopped') {
      if (this.state === 'running') this.supervisorChanged('draining');
      const stopped = new Promise<void>((resolve) => this.#onStopped.push(resolve));
      this.#send({ type: 'supervisor.stop', graceMs });
      await stopped;
    }
    await Promise.all([...this.backends.values()].map((backend) => backend.scope.release()));
  }

  warn(warning: SupervisorEvents['warning']): void {
    this.logger.warn(warning, warning.message);
    this.emitter.emit('warning', warning);
  }

  stateChanged(backend: ServerBackend, change: StateChange): void {
    const { from, to, failure } = change;
    if (from !== to) this.#announce(backend, change);
    if (to === 'failed' || to === 'idle') backend.failTurns(failure ?? stoppedFailure(backend.id));
    this.#send({ type: 'backend.stateChanged', backendId: backend.id, state: to });
  }

  streamChanged(backendId: string, stream: StreamRuntime, { to, event, failure }: StreamChange): void {
    const from = stream.state;
    stream.state = to as LifecycleState;
    if (from === to) return;
    const reason = reasonOf(event, failure);
    const id = `${backendId}/${stream.id}`;
    this.logger.debug({ stream: id, from, to, reason }, `Stream ${id}: ${from} → ${to} (${reason})`);
    this.#transition({ kind: 'stream', id, backend: backendId, from, to, reason });
  }

  supervisorChanged(state: string): void {
    const from = this.state;
    if (state === from) return;
    this.state = state as SupervisorStatus['state'];
    this.#transition({ kind: 'supervisor', id: 'supervisor', from, to: state, reason: 'stop requested' });
    if (state === 'draining') this.#settleUnbound();
    if (state === 'stopped') this.#stopped();
  }

  /** Every actor is gone: whoever still waits for a backend waits in vain. */
  #stopped(): void {
    for (const backend of this.backends.values()) {
      if (backend.state !== 'idle') this.stateChanged(backend, backend.changed('idle', 'the supervisor stopped', null));
    }
    for (const resolve of this.#onStopped.splice(0)) resolve();
  }

  /** A chart broke. Its children run on without an owner: their resources are released before anything else. */
  crashed(actorId: string, error: unknown): void {
    const backend = [...this.backends.values()].find(({ id }) => backendActorId(id) === actorId);
    this.warn({
      code: 'ERR_INTERNAL',
      message: `The chart ${actorId} broke: ${messageOf(error)}`,
      ...(backend ? { backend: backend.id } : {}),
    });
    if (!backend) return;
    backend.lifeOver();
    backend.streams.clear();
    void backend.scope.release().then(() => {
      backend.changed('idle', `its chart broke: ${messageOf(error)}`, toFailure(error));
      this.#send({ type: 'backend.crashed', at: this.clock.now(), backendId: backend.id });
      for (const session of backend.sessions) backend.attach(session);
    });
  }

  /** A stream's chart broke: it is opened anew, or, where that is of no use any more, not before the next prompt. */
  streamCrashed(backend: ServerBackend, streamId: string, error: unknown): void {
    const stream = backend.streamById(streamId);
    if (!stream || backend.streams.get(stream.key) !== stream) return; // It was closed meanwhile.
    const at = this.clock.now();
    const failure = toFailure(error);
    const message = `The chart of ${backend.id}/${streamId} broke: ${messageOf(error)}`;
    this.warn({ code: 'ERR_INTERNAL', message, backend: backend.id });
    const { admitted, history } = admitRestart(CHART_INTENSITY, stream.crashes, at);
    stream.crashes = history;
    stream.unbind();
    const to = admitted ? 'recovering' : 'failed';
    this.streamChanged(backend.id, stream, { to, event: { type: 'stream.crashed' }, failure });
    for (const turn of stream.running()) {
      turn.send(admitted ? { type: 'backend.lost', at } : { type: 'backend.failed', at, failure });
    }
    if (admitted) stream.start();
  }

  abandoned(backendId: string): void {
    const backend = this.backend(backendId);
    const failure: Failure = {
      code: 'ERR_INTERNAL',
      message: `The chart of ${backendId} broke too often; it is given up.`,
    };
    backend.abandoned = true;
    this.stateChanged(backend, backend.changed('failed', failure.message, failure));
  }

  turnGone(childId: string, error: unknown): void {
    const slot = Number(childId.slice(childId.lastIndexOf('-') + 1));
    const entry = this.#bySlot.get(slot);
    this.#bySlot.delete(slot);
    if (!entry) return;
    this.#turns.delete(entry.turn.id);
    if (error !== undefined) entry.turn.settle({ outcome: 'indeterminate', failure: toFailure(error) });
  }

  /** In order, and never from within an action of another chart: charts are not reentered. */
  #send(event: SupervisorEvent): void {
    queueMicrotask(() => this.#root.send(event));
  }

  #createBackend(id: string): ServerBackend {
    const definition = this.options.backends[id];
    if (!definition) throw new Error(`There is no definition of ${id}.`);
    const driver = definition.createDriver({ backendId: id, clock: this.clock, logger: this.logger });
    const scope = new Scope((error) =>
      this.logger.error({ err: error, backend: id }, 'A resource could not be released.'),
    );
    const command = (event: ServerEvent) => this.#send({ type: 'backend.command', backendId: id, command: event });
    return new ServerBackend({ id, definition, driver, scope, clock: this.clock, logger: this.logger, command });
  }

  #rootInput() {
    const { backends, turn } = this.options;
    const settings = Object.fromEntries(Object.entries(backends).map(([id, { settings }]) => [id, settings.server]));
    return { backends: settings, intensity: CHART_INTENSITY, cancelLimitMs: turn.cancelTimeoutMs + 1_000 };
  }

  #freeSlot(): number {
    let slot = 0;
    while (this.#bySlot.has(slot)) slot += 1;
    return slot;
  }

  #announce(backend: ServerBackend, { from, to, reason }: StateChange): void {
    const level = to === 'unhealthy' || to === 'recovering' || to === 'failed' ? 'warn' : 'info';
    this.logger[level]({ backend: backend.id, from, to, reason }, `Backend ${backend.id}: ${from} → ${to} (${reason})`);
    this.#tellTurns(backend, to, reason);
    this.#transition({ kind: 'backend', id: backend.id, backend: backend.id, from, to, reason });
  }

  #tellTurns(backend: ServerBackend, state: LifecycleState, reason: string): void {
    for (const session of backend.sessions) session.running?.feed.push({ type: 'backend', state, reason });
  }

  #transition(transition: Omit<SupervisorEvents['transition'], 'at'>): void {
    this.emitter.emit('transition', { ...transition, at: new Date(this.clock.wallNow()).toISOString() });
  }

  /** Turns that came too late to get an actor. */
  #settleUnbound(): void {
    for (const { turn } of this.#turns.values()) if (!turn.isBound) this.settleStopped(turn);
  }

  settleStopped(turn: TurnRuntime): void {
    turn.settle({
      outcome: 'failed',
      failure: { code: 'ERR_STOPPED', message: 'The supervisor is stopping or stopped.' },
    });
  }

  /** The root chart itself broke: nothing is left running, and nobody waits for ever. */
  #rootFailed(error: unknown): void {
    this.logger.error({ err: error }, `The root chart broke: ${messageOf(error)}`);
    this.supervisorChanged('stopped');
    for (const { turn } of this.#turns.values()) turn.settle({ outcome: 'indeterminate', failure: toFailure(error) });
    for (const backend of this.backends.values()) void backend.scope.release();
  }
}

function stoppedFailure(backendId: string): Failure {
  return { code: 'ERR_STOPPED', message: `The backend ${backendId} was stopped.` };
}
