import type { LifeCommand, LifeContext } from '../../machines/life-types.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import type { LifecycleState } from '../contract/status.ts';
import type { Clock, Logger } from '../contract/supervisor.ts';
import { SupervisorError } from '../errors.ts';
import type { Scope } from '../scope.ts';
import type { SessionRecord } from '../session/session-record.ts';

/** The chart of process lives, as their data plane sees it. */
export interface LifeActor {
  getSnapshot(): { readonly value: unknown; readonly context: LifeContext };
}

/** A change of the top-level state. */
export interface StateChange {
  readonly from: LifecycleState;
  readonly to: LifecycleState;
  readonly reason: string;
  readonly failure: Failure | null;
}

/** Changes of state that are remembered. */
const MAX_HISTORY = 50;

/** One change of state, as plain JSON. */
export interface HistoryEntry {
  readonly from: LifecycleState;
  readonly to: LifecycleState;
  readonly reason: string;
  readonly at: string;
}

export interface LifeRuntimeOptions {
  /** How messages name it. */
  readonly id: string;
  readonly scope: Scope;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The data plane of what lives as one process after another: its state, its sessions, and who waits for it. */
export abstract class LifeRuntime {
  readonly scope: Scope;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly sessions = new Set<SessionRecord>();
  state: LifecycleState = 'idle';
  since: number;
  /** The latest changes of state, for people. */
  readonly history: HistoryEntry[] = [];
  /** A new life is wanted: turns that run may finish, and none begins. */
  isDraining = false;
  lastError: { readonly failure: Failure; readonly at: number } | undefined;
  /** The chart was given up; no actor runs any more. */
  abandoned = false;
  readonly #id: string;
  #actor: LifeActor | undefined;
  /** Lives so far, while no actor counts them. */
  #generation = 0;
  #turns = 0;
  #waiters = 0;
  readonly #listeners = new Set<(change: StateChange) => void>();
  readonly #checks = new Set<() => void>();
  #life = new AbortController();

  constructor({ id, scope, clock, logger }: LifeRuntimeOptions) {
    this.#id = id;
    this.scope = scope;
    this.clock = clock;
    this.logger = logger;
    this.since = clock.wallNow();
  }

  /** Tells the chart, in order, and never from within an action of another chart. */
  abstract send(command: LifeCommand): void;

  /** How messages name it. */
  get id(): string {
    return this.#id;
  }

  get isAvailable(): boolean {
    return this.state === 'healthy' || this.state === 'unhealthy';
  }

  /** Aborted when the current process life ends. */
  get lifeEnded(): AbortSignal {
    return this.#life.signal;
  }

  get actor(): LifeActor | undefined {
    return this.#actor;
  }

  get generation(): number {
    return this.#actor?.getSnapshot().context.generation ?? this.#generation;
  }

  get turns(): number {
    return this.#turns;
  }

  /** A turn runs, or somebody waits for it. */
  get isInUse(): boolean {
    return this.#turns + this.#waiters > 0;
  }

  /** Nothing runs. */
  get isAtRest(): boolean {
    return this.state === 'failed' || this.state === 'idle';
  }

  /** What the next actor has to know of the one before. */
  get carried(): Pick<LifeContext, 'generation' | 'turns' | 'waiters'> {
    return { generation: this.generation, turns: this.#turns, waiters: this.#waiters };
  }

  /** Why nothing runs, and nothing comes back by itself. */
  get down(): Failure | undefined {
    if (!this.isAtRest) return undefined;
    return this.lastError?.failure ?? { code: 'ERR_BACKEND_EXITED', message: `The backend ${this.id} is not running.` };
  }

  /** Why it will never run again. */
  get gone(): Failure | undefined {
    return this.abandoned ? this.down : undefined;
  }

  bind(actor: LifeActor): void {
    this.#actor = actor;
  }

  /** The actor goes, and another one comes when it is needed. */
  protected unbind(): void {
    this.#generation = this.generation;
    this.#actor = undefined;
  }

  /** Calls the listener on every change of the top-level state. Returns the function that ends it. */
  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the next health check was judged, or can no longer be made. */
  nextCheck(): Promise<void> {
    return new Promise((resolve) => this.#checks.add(resolve));
  }

  /** A health check was judged. */
  checked(): void {
    const waiting = [...this.#checks];
    this.#checks.clear();
    for (const resolve of waiting) resolve();
  }

  /** The chart entered a top-level state. */
  changed(to: LifecycleState, reason: string, failure: Failure | null): StateChange {
    const change: StateChange = { from: this.state, to, reason, failure };
    this.state = to;
    this.since = this.clock.wallNow();
    if (change.from !== to) this.remember(change);
    if (!this.isAvailable) this.isDraining = false;
    if (failure) this.lastError = { failure, at: this.since };
    else if (to === 'healthy') this.lastError = undefined;
    for (const listener of [...this.#listeners]) listener(change);
    if (!this.isAvailable) this.checked();
    return change;
  }

  /** What the holders of leases are told. */
  protected get overMessage(): string {
    return `The process of ${this.id} ended.`;
  }

  /** The process life is over: its turns learn it, and so do the holders of its leases. */
  lifeOver(): void {
    this.#life.abort(new SupervisorError('ERR_BACKEND_EXITED', this.overMessage, { backend: this.id }));
    this.#life = new AbortController();
    const at = this.clock.now();
    for (const session of this.sessions) session.tellRunning({ type: 'backend.exited', at });
  }

  /** The backend gave up, or was stopped: whoever waits for it waits in vain. */
  failTurns(failure: Failure): void {
    const at = this.clock.now();
    for (const session of this.sessions) session.tellRunning({ type: 'backend.failed', at, failure });
  }

  /** Turns that wait for others before them are not sent any more. */
  abandonQueued(): void {
    const failure = { code: 'ERR_STOPPED', message: `The backend ${this.id} was stopped.` };
    const at = this.clock.now();
    for (const session of this.sessions)
      for (const turn of session.queue) turn.send({ type: 'turn.abandon', at, failure });
  }

  /** What happened, for people who look at it later. */
  remember({ from, to, reason }: Pick<HistoryEntry, 'from' | 'to' | 'reason'>): void {
    this.history.push({ from, to, reason, at: new Date(this.clock.wallNow()).toISOString() });
    if (this.history.length > MAX_HISTORY) this.history.shift();
  }

  changeDemand({ turns = 0, waiters = 0 }: { readonly turns?: number; readonly waiters?: number }): void {
    this.#turns += turns;
    this.#waiters += waiters;
    this.send({ type: 'life.demandChanged', turns: this.#turns, waiters: this.#waiters });
  }
}
