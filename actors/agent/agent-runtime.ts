import type { LifeCommand } from '../../machines/life-types.ts';
import type { AgentPlace } from '../../machines/pool-machine.ts';
import { commandsDone } from '../backend/await-healthy.ts';
import { LifeRuntime, type LifeRuntimeOptions } from '../backend/life-runtime.ts';
import { detailOf } from '../backend/life-status.ts';
import type { Carrier } from '../carrier.ts';
import { SupervisorError, toFailure } from '../errors.ts';
import type { AgentDriver, AgentLife, AgentLifeObserver, DriverSession, DriverSessionRequest } from '../ports.ts';
import type { WarmPool } from './warm-pool.ts';

/** One conversation that an agent is to have open in every life. */
export interface AgentSlot {
  readonly request: DriverSessionRequest;
  /** Absent until it was opened for the first time. */
  session: DriverSession | undefined;
  /** The life in which it is open. */
  generation: number;
  /** Why the agent would not open it. */
  refusal?: unknown;
  /** What became of it in its latest life but the first. */
  outcome?: 'restored' | 'replaced';
}

export interface AgentRuntimeOptions extends LifeRuntimeOptions {
  readonly key: string;
  readonly backendId: string;
  readonly directory: string;
  readonly driver: AgentDriver;
  readonly pool: WarmPool;
  /** Longest wait of a prompt for a place, in milliseconds. */
  readonly admitTimeoutMs: number;
  readonly command: (command: LifeCommand & { readonly place: AgentPlace }) => void;
  /** Gives it an actor, and a place for that. */
  readonly open: (agent: AgentRuntime) => AgentPlace;
  /** A session is open again after a restart. */
  readonly onRestored: (session: DriverSession, outcome: 'restored' | 'replaced') => void;
}

const COMES_OR_GOES: ReadonlySet<string> = new Set(['life.start', 'life.restart', 'life.stop']);
const NOBODY = new SupervisorError('ERR_STOPPED', 'Nobody waits for the agent any more.');

/** One warm agent: its process lives, and the conversations that belong to it. */
export class AgentRuntime extends LifeRuntime implements Carrier {
  readonly key: string;
  readonly backendId: string;
  readonly directory: string;
  /** Where its actor lives; absent while it has none. */
  place: AgentPlace | undefined;
  /** It has made room for others: its conversations go on when somebody needs them. */
  isEvicted = false;
  readonly slots = new Set<AgentSlot>();
  /** Callers who need the agent, and no session of it. */
  visitors = 0;
  /** The current process life. */
  process: AgentLife | undefined;
  /** When its chart broke, within the intensity window; monotonic milliseconds. */
  crashes: readonly number[] = [];
  readonly deaf = undefined;
  readonly #options: AgentRuntimeOptions;
  /** A prompt waits for a place. */
  #waking: AbortController | undefined;

  constructor(options: AgentRuntimeOptions) {
    super(options);
    this.#options = options;
    this.key = options.key;
    this.backendId = options.backendId;
    this.directory = options.directory;
  }

  override get id(): string {
    return this.place ? `${this.backendId}/${this.place.agentId}` : this.backendId;
  }

  get isNeeded(): boolean {
    return this.slots.size > 0 || this.visitors > 0;
  }

  get detail(): string {
    return detailOf(this.actor?.getSnapshot().value ?? this.state);
  }

  /** Every open conversation of a life that works takes prompts. */
  get isOpen(): boolean {
    return this.isAvailable && this.process?.isConnected === true;
  }

  launch(generation: number, observer: AgentLifeObserver): AgentLife {
    this.process = this.#options.driver.launch(this.directory, generation, observer);
    return this.process;
  }

  /** Without an actor there is nobody to hear it. */
  send(command: LifeCommand): void {
    if (COMES_OR_GOES.has(command.type)) this.isEvicted = false; // Somebody wants something else of it.
    if (this.place) this.#options.command({ ...command, place: this.place });
  }

  /** It may run now, or as soon as there is a place; who waits for it is told where there is none. */
  wake(): void {
    if (this.#waking || (!this.isAtRest && this.state !== 'stopping')) return;
    this.#waking = new AbortController();
    void this.#wake(this.#waking.signal).finally(() => (this.#waking = undefined));
  }

  override changeDemand(change: { readonly turns?: number; readonly waiters?: number }): void {
    super.changeDemand(change);
    if (this.turns === 0) this.#waking?.abort(NOBODY); // It was cancelled, or is over: its place in line is for others.
    this.#options.pool.used(this);
  }

  /** Its actor, where it has none. */
  open(): void {
    this.place ??= this.#options.open(this);
  }

  /** Its actor is gone; returns where that was. */
  close(): AgentPlace | undefined {
    const { place } = this;
    this.unbind();
    this.place = undefined;
    return place;
  }

  /** What an agent does not answer it will not answer when asked again: its response is all there is. */
  audit(): void {}

  async #wake(signal: AbortSignal): Promise<void> {
    const { pool, admitTimeoutMs: timeoutMs } = this.#options;
    try {
      const letGo = await pool.admit(this, { timeoutMs, signal });
      try {
        this.open();
        this.send({ type: 'life.start' });
        await commandsDone();
      } finally {
        letGo();
      }
    } catch (error) {
      this.failTurns(toFailure(error));
    }
  }

  /** Who ignores a cancel is not asked to stop. */
  retire(): void {
    this.send({ type: 'life.restart', reason: 'a cancel was ignored' });
    this.process?.kill();
  }

  /**
   * Opens what is not open in this life: anew the first time, again after a restart. A new one that the agent refuses is
   * told to whoever wants it, and costs the others nothing.
   */
  async openSlots(signal: AbortSignal): Promise<void> {
    for (const slot of this.slots) {
      if (slot.generation === this.generation) continue;
      await this.openSlot(slot, signal).catch((error: unknown) => {
        if (slot.session || signal.aborted || this.process?.isConnected !== true) throw error;
        slot.refusal = error;
      });
    }
  }

  async openSlot(slot: AgentSlot, signal: AbortSignal): Promise<DriverSession> {
    const { process, generation } = this;
    if (!process) throw new Error(`The agent ${this.id} has no process.`);
    if (slot.session) {
      const outcome = await process.restoreSession(slot.session, signal);
      slot.outcome = outcome;
      this.#options.onRestored(slot.session, outcome);
    }
    slot.session ??= await process.openSession(slot.request, signal);
    slot.generation = generation;
    return slot.session;
  }
}
