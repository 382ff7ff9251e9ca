import { type Actor, createActor } from 'xstate';
import type { BackoffInput } from '../../machines/backoff-machine.ts';
import { MAX_GROUP_CHILDREN } from '../../machines/group-machine.ts';
import { withJitter } from '../../machines/policies/backoff.ts';
import type { SupervisorEvent, SupervisorInput } from '../../machines/supervisor-setup.ts';
import { AwakeClock, type SleepObserver } from '../awake/awake-clock.ts';
import { checkEverything } from '../awake/check-everything.ts';
import { AgentBackend } from '../agent/agent-backend.ts';
import type { AgentRuntime } from '../agent/agent-runtime.ts';
import { WarmPool } from '../agent/warm-pool.ts';
import type { Backend } from '../backend/backend.ts';
import { ServerBackend } from '../server/server-backend.ts';
import type { SupervisorStatus } from '../contract/status.ts';
import type { SupervisorEvents } from '../contract/supervisor.ts';
import { KeepAlive } from '../defaults/keep-alive.ts';
import { DecisionDesk } from '../decisions/decision-desk.ts';
import { messageOf, SupervisorError, toFailure } from '../errors.ts';
import type { Registry, TurnEntry } from '../registry.ts';
import { SessionKeeper } from '../session/session-keeper.ts';
import { SessionMemory } from '../session/session-memory.ts';
import type { StreamRuntime } from '../stream/stream-runtime.ts';
import type { TurnRuntime } from '../turn/turn-runtime.ts';
import { Emitter } from './emitter.ts';
import type { ResolvedSupervisorOptions } from './options.ts';
import { createBackend } from './create-backend.ts';
import { CHART_INTENSITY, RootReports } from './root-reports.ts';
import { provideSupervisor } from './supervisor-implementation.ts';

const STOPPING = { code: 'ERR_STOPPED', message: 'The supervisor is stopping or stopped.' };

/** Everything that is alive in one supervisor: the root actor, the backends, the turns, the decisions. */
export class SupervisorRuntime implements Registry, SleepObserver {
  readonly options: ResolvedSupervisorOptions;
  readonly clock;
  readonly logger;
  readonly random;
  readonly emitter: Emitter;
  readonly keepAlive = new KeepAlive();
  readonly decisions: DecisionDesk;
  readonly warmPool: WarmPool;
  readonly memory: SessionMemory;
  readonly #keeper: SessionKeeper;
  readonly backends = new Map<string, Backend>();
  readonly reports = new RootReports(this);
  state: SupervisorStatus['state'] = 'running';
  readonly #turns = new Map<string, TurnEntry>();
  readonly #bySlot = new Map<number, TurnEntry>();
  readonly #onStopped: (() => void)[] = [];
  readonly #root: Actor<ReturnType<typeof provideSupervisor>>;

  constructor(options: ResolvedSupervisorOptions) {
    this.clock = new AwakeClock(options.clock, this);
    this.options = { ...options, clock: this.clock };
    this.logger = options.logger;
    this.random = options.random;
    this.emitter = new Emitter(this.logger);
    this.decisions = new DecisionDesk({
      clock: this.clock,
      logger: this.logger,
      emit: (event) => this.emitter.emit('decision', event),
      warn: (warning) => this.emitter.emit('warning', warning),
    });
    const warn = (warning: SupervisorEvents['warning']) => this.warn(warning);
    this.#keeper = new SessionKeeper({ store: options.store, clock: this.clock, warn });
    this.memory = new SessionMemory(this.#keeper, this.clock);
    this.warmPool = new WarmPool({ clock: this.clock, ...options.pool });
    for (const [id, definition] of Object.entries(options.backends))
      this.backends.set(id, createBackend(id, definition, this));
    this.#root = createActor(provideSupervisor(this, this.reports), { clock: this.clock, input: this.#rootInput() });
    this.#root.subscribe({ error: (error) => this.#rootFailed(error) });
    this.#root.start();
  }

  backend(backendId: string): Backend {
    const backend = this.backends.get(backendId);
    if (backend) return backend;
    const known = [...this.backends.keys()].join(', ');
    throw new SupervisorError('ERR_UNKNOWN_BACKEND', `There is no backend "${backendId}"; there is ${known}.`);
  }

  server(backendId: string): ServerBackend {
    const backend = this.backend(backendId);
    if (backend instanceof ServerBackend) return backend;
    throw new Error(`The backend ${backendId} is no server.`);
  }

  agent(backendId: string, agentId: string | null): AgentRuntime {
    const backend = this.backend(backendId);
    if (backend instanceof AgentBackend) return backend.agent(agentId);
    throw new Error(`The backend ${backendId} has no agents.`);
  }

  stream(backendId: string, streamId: string): StreamRuntime {
    const stream = this.server(backendId).streamById(streamId);
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
    this.send({ type: 'supervisor.openTurn', groupId, childId: `turn-${slot}`, input });
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
      this.send({ type: 'supervisor.stop', graceMs });
      await stopped;
    }
    await Promise.all([...this.backends.values()].map((backend) => backend.scope.release()));
    await this.#keeper.close();
  }

  warn(warning: SupervisorEvents['warning']): void {
    this.logger.warn(warning, warning.message);
    this.emitter.emit('warning', warning);
  }

  woke(sleptMs: number): void {
    this.logger.info({ sleptMs }, `The host slept for ${sleptMs} ms; everything that runs is checked.`);
    checkEverything({ backends: this.backends.values(), turns: this.#turns.values() });
  }

  setBack(byMs: number): void {
    this.logger.info({ byMs }, `The wall clock was set back by ${byMs} ms; nothing slept.`);
  }

  supervisorChanged(state: string): void {
    const from = this.state;
    if (state === from) return;
    this.state = state as SupervisorStatus['state'];
    this.reports.transition({ kind: 'supervisor', id: 'supervisor', from, to: state, reason: 'stop requested' });
    if (state === 'draining') {
      this.warmPool.close(STOPPING);
      this.#settleUnbound();
    }
    if (state === 'stopped') this.#stopped();
  }

  /** Every actor is gone: whoever still waits for a backend waits in vain. */
  #stopped(): void {
    this.reports.stopped();
    for (const resolve of this.#onStopped.splice(0)) resolve();
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
  send(event: SupervisorEvent): void {
    queueMicrotask(() => this.#root.send(event));
  }

  #rootInput() {
    const { backends, turn } = this.options;
    const kinds = Object.entries(backends).map(([id, definition]) => [
      id,
      definition.runs === 'server' ? definition.settings.server : 'pool',
    ]);
    const cancelLimitMs = turn.cancelTimeoutMs + 1_000;
    return {
      backends: Object.fromEntries(kinds) as SupervisorInput['backends'],
      intensity: CHART_INTENSITY,
      cancelLimitMs,
    };
  }

  #freeSlot(): number {
    let slot = 0;
    while (this.#bySlot.has(slot)) slot += 1;
    return slot;
  }

  /** Turns that came too late to get an actor. */
  #settleUnbound(): void {
    for (const { turn } of this.#turns.values()) if (!turn.isBound) this.settleStopped(turn);
  }

  settleStopped(turn: TurnRuntime): void {
    turn.settle({ outcome: 'failed', failure: STOPPING });
  }

  /** The root chart itself broke: nothing is left running, and nobody waits for ever. */
  #rootFailed(error: unknown): void {
    this.logger.error({ err: error }, `The root chart broke: ${messageOf(error)}`);
    this.supervisorChanged('stopped');
    for (const { turn } of this.#turns.values()) turn.settle({ outcome: 'indeterminate', failure: toFailure(error) });
    for (const backend of this.backends.values()) void backend.scope.release();
  }
}
