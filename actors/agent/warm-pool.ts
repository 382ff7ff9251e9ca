import { admission, leastRecentlyUsed, outlived, type PoolLimits } from '../../machines/policies/warm-pool.ts';
import { abortError, commandsDone } from '../backend/await-healthy.ts';
import type { Clock } from '../contract/supervisor.ts';
import { fromFailure, SupervisorError } from '../errors.ts';
import type { Failure } from '../ports.ts';
import type { AgentRuntime } from './agent-runtime.ts';

export interface WarmPoolOptions extends PoolLimits {
  readonly clock: Clock;
  /** How often it is looked for what nobody has used for too long, in milliseconds. */
  readonly sweepMs: number;
}

/** Gives back what was admitted; more than once changes nothing. */
export type LetGo = () => void;

/** One who needs an agent to run, and for how long it may wait. */
export interface Application {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Place {
  readonly agent: AgentRuntime;
  /** Callers who hold it, whatever the agent does. */
  holders: number;
  usedAt: number;
  use: number;
}

interface Applicant {
  readonly grant: (letGo: LetGo) => void;
  readonly refuse: (error: Error) => void;
}

/**
 * The places of warm agents, of all backends of a supervisor: at most so many processes at once. Who finds all taken waits
 * in line while one that nobody uses makes room; one that is in use never does.
 */
export class WarmPool {
  readonly #options: WarmPoolOptions;
  readonly #places = new Map<AgentRuntime, Place>();
  /** In the order in which they came. */
  readonly #waiting = new Map<AgentRuntime, Set<Applicant>>();
  /** They were asked to make room. */
  readonly #leaving = new Set<AgentRuntime>();
  #uses = 0;
  #sweep: { readonly timer: unknown } | undefined;
  #closed: Failure | undefined;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
  }

  /** How many more could be warm without anybody making room. */
  get room(): number {
    return Math.max(0, this.#options.maxWarm - this.#places.size - this.#waiting.size);
  }

  /** Resolves when the agent may run. Rejects with `ERR_POOL_FULL` at once where too many wait, or when the time is over. */
  async admit(agent: AgentRuntime, application: Application): Promise<LetGo> {
    if (this.#closed && !this.#places.has(agent)) throw fromFailure(this.#closed);
    if (application.signal?.aborted) throw abortError(application.signal);
    const { size } = this.#waiting;
    const isIn = this.#places.has(agent) && (size === 0 || !this.#leaving.has(agent));
    const place = isIn ? 'place' : admission(this.#options, this.#places.size, size, this.#becomingFree());
    if (place === 'place') return this.#hold(agent);
    if (place === 'full' && !this.#waiting.has(agent)) throw this.#full(agent, `${size} others wait already`);
    return this.#waitInLine(agent, application);
  }

  /** Keeps a warm agent from making room until that is given back. */
  keep(agent: AgentRuntime): LetGo {
    return this.#places.has(agent) ? this.#hold(agent) : () => undefined;
  }

  /** Somebody began or ceased to use the agent. */
  used(agent: AgentRuntime): void {
    const place = this.#places.get(agent);
    if (!place) return;
    this.#touch(place);
    if (!agent.isInUse) this.#serve();
  }

  /** The agent changed its state: at rest it takes no place. */
  changed(agent: AgentRuntime): void {
    if (agent.state !== 'stopping') this.#leaving.delete(agent);
    this.#review(agent);
    this.#serve();
  }

  /** Whoever waits for the agent waits in vain. */
  refuse(agent: AgentRuntime, failure: Failure): void {
    for (const { refuse } of [...(this.#waiting.get(agent) ?? [])]) refuse(fromFailure(failure));
  }

  /** Nobody is admitted any more. */
  close(failure: Failure): void {
    this.#closed = failure;
    for (const agent of [...this.#waiting.keys()]) this.refuse(agent, failure);
    this.#disarm();
  }

  #waitInLine(agent: AgentRuntime, { timeoutMs, signal }: Application): Promise<LetGo> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#options.clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#leaveLine(agent, applicant);
      };
      const refuse = (error: Error) => {
        leave();
        reject(error);
      };
      const grant = (letGo: LetGo) => {
        leave();
        resolve(letGo);
      };
      const applicant: Applicant = { grant, refuse };
      const onAbort = () => refuse(abortError(signal));
      const late = () => refuse(this.#full(agent, `none became free within ${timeoutMs} ms`));
      const timer = this.#options.clock.setTimeout(late, timeoutMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#enterLine(agent, applicant);
    });
  }

  #enterLine(agent: AgentRuntime, applicant: Applicant): void {
    const applicants = this.#waiting.get(agent) ?? new Set();
    this.#waiting.set(agent, applicants.add(applicant));
    this.#makeRoom();
  }

  #leaveLine(agent: AgentRuntime, applicant: Applicant): void {
    const applicants = this.#waiting.get(agent);
    applicants?.delete(applicant);
    if (applicants?.size === 0) this.#waiting.delete(agent);
  }

  #full({ backendId }: AgentRuntime, why: string): SupervisorError {
    const message = `All ${this.#options.maxWarm} places for warm agents are in use, and ${why}. Raise pool.maxWarm, or try again when a turn has settled.`;
    return new SupervisorError('ERR_POOL_FULL', message, { backend: backendId });
  }

  #hold(agent: AgentRuntime): LetGo {
    const place = this.#placeOf(agent);
    place.holders += 1;
    this.#touch(place);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      place.holders -= 1;
      this.#touch(place);
      this.#review(agent);
      this.#serve();
    };
  }

  #placeOf(agent: AgentRuntime): Place {
    const place = this.#places.get(agent) ?? { agent, holders: 0, usedAt: 0, use: 0 };
    this.#places.set(agent, place);
    this.#arm();
    return place;
  }

  #touch(place: Place): void {
    this.#uses += 1;
    place.use = this.#uses;
    place.usedAt = this.#options.clock.now();
  }

  #review(agent: AgentRuntime): void {
    const place = this.#places.get(agent);
    if (!place || place.holders > 0 || !agent.isAtRest) return;
    this.#places.delete(agent);
    this.#leaving.delete(agent);
    if (this.#places.size === 0) this.#disarm();
  }

  /** The first in line first; one that has a place already, and was asked to leave it, keeps it. */
  #serve(): void {
    for (const [agent, applicants] of this.#waiting) {
      if (!this.#places.has(agent) && this.#places.size >= this.#options.maxWarm) break;
      for (const { grant } of [...applicants]) grant(this.#hold(agent));
    }
    this.#makeRoom();
  }

  #makeRoom(): void {
    const wanted = this.#waiting.size - this.#leaving.size;
    if (wanted <= 0) return;
    for (const { agent } of leastRecentlyUsed(this.#warm(), wanted)) this.#evict(agent, 'its place is wanted');
  }

  /** The agent's own chart decides whether it can. */
  #evict(agent: AgentRuntime, reason: string): void {
    this.#leaving.add(agent);
    agent.send({ type: 'life.evict', reason });
    void commandsDone().then(() => {
      if (agent.state !== 'stopping') this.#leaving.delete(agent);
    });
  }

  /** Places that are being given up, or could be. */
  #becomingFree(): number {
    return this.#leaving.size + this.#warm().filter(({ isFree }) => isFree).length;
  }

  #warm() {
    return [...this.#places.values()].map((place) => ({ ...place, isFree: this.#isFree(place) }));
  }

  #isFree({ agent, holders }: Place): boolean {
    return holders === 0 && agent.isAvailable && !agent.isInUse && !this.#leaving.has(agent);
  }

  #arm(): void {
    if (this.#closed) return;
    this.#sweep ??= { timer: this.#options.clock.setTimeout(() => this.#sweepNow(), this.#options.sweepMs) };
  }

  #disarm(): void {
    if (this.#sweep) this.#options.clock.clearTimeout(this.#sweep.timer);
    this.#sweep = undefined;
  }

  #sweepNow(): void {
    this.#sweep = undefined;
    const { clock, idleTtlMs } = this.#options;
    for (const { agent } of outlived(this.#warm(), this.#options, clock.now()))
      this.#evict(agent, `not used for ${idleTtlMs} ms`);
    if (this.#places.size > 0) this.#arm();
  }
}
