import type { LifeCommand } from '../../machines/life-types.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import type { AgentPlace, PoolEvent } from '../../machines/pool-machine.ts';
import { awaitHealthy } from '../backend/await-healthy.ts';
import type { Backend, OpenCircumstances, RequestLimits, SessionWork } from '../backend/backend.ts';
import type { LifeRuntimeOptions } from '../backend/life-runtime.ts';
import { withLimit } from '../clock-loop.ts';
import type { BackendStatus, LifecycleState } from '../contract/status.ts';
import type { BackendSession } from '../contract/supervisor.ts';
import { fromFailure, SupervisorError } from '../errors.ts';
import type { AgentDefinition, AgentDriver, DriverSession, DriverSessionRequest } from '../ports.ts';
import type { Scope } from '../scope.ts';
import type { SessionRecord } from '../session/session-record.ts';
import { AgentPlaces } from './agent-places.ts';
import { AgentRuntime, type AgentSlot } from './agent-runtime.ts';
import { bestState, poolStatus } from './pool-status.ts';
import type { Application, WarmPool } from './warm-pool.ts';

export interface AgentBackendOptions extends LifeRuntimeOptions {
  readonly definition: AgentDefinition;
  readonly driver: AgentDriver;
  readonly pool: WarmPool;
  /** Longest wait of a prompt for a place in the pool, in milliseconds. */
  readonly admitTimeoutMs: number;
  /** Sends a command to the pool's chart. */
  readonly command: (command: PoolEvent) => void;
  /** A session is open again after a restart of its agent. */
  readonly onRestored: (session: SessionRecord, outcome: 'restored' | 'replaced') => void;
}

/** A backend that is a pool of agents: one for each conversation, or for each directory. */
export class AgentBackend implements Backend {
  readonly id: string;
  readonly definition: AgentDefinition;
  readonly scope: Scope;
  readonly sessions = new Set<SessionRecord>();
  readonly #options: AgentBackendOptions;
  readonly #agents = new Map<string, AgentRuntime>();
  readonly #bySession = new Map<DriverSession, AgentRuntime>();
  readonly #places = new AgentPlaces<AgentRuntime>();

  constructor(options: AgentBackendOptions) {
    this.#options = options;
    this.id = options.id;
    this.definition = options.definition;
    this.scope = options.scope;
  }

  get pool(): WarmPool {
    return this.#options.pool;
  }

  get agents(): readonly AgentRuntime[] {
    return [...this.#agents.values()];
  }

  /** Of several processes the best. */
  get state(): LifecycleState {
    return bestState(this.agents);
  }

  agent(agentId: string | null): AgentRuntime {
    const agent = this.#places.at(agentId ?? '');
    if (!agent) throw new Error(`There is no agent ${agentId ?? ''} of ${this.id}.`);
    return agent;
  }

  send(command: LifeCommand): void {
    this.#options.command(command);
  }

  status(): BackendStatus {
    return poolStatus(this);
  }

  async open(request: DriverSessionRequest, circumstances: OpenCircumstances): Promise<DriverSession> {
    const agent = this.#agentFor(request.directory, circumstances.chatId);
    const slot: AgentSlot = { request, session: undefined, generation: 0 };
    agent.slots.add(slot);
    try {
      const session = await this.#openSlot(agent, slot, circumstances);
      this.#bySession.set(session, agent);
      return session;
    } catch (error) {
      this.#vacate(agent, slot);
      throw error;
    }
  }

  attach(session: SessionRecord): void {
    const agent = this.#bySession.get(session.driver);
    if (!agent) throw new Error(`The session ${session.id} has no agent.`);
    agent.sessions.add(session);
    session.carrier = agent;
  }

  detach(session: SessionRecord): void {
    const agent = this.#bySession.get(session.driver);
    agent?.sessions.delete(session);
    this.discard(session.driver);
  }

  /** It was opened for nobody. */
  discard(driver: DriverSession): void {
    const agent = this.#bySession.get(driver);
    if (!agent) return;
    this.#bySession.delete(driver);
    const slot = [...agent.slots].find((candidate) => candidate.session === driver);
    if (slot) this.#vacate(agent, slot);
  }

  async request<T>(session: SessionRecord, limits: RequestLimits, work: SessionWork<T>): Promise<T> {
    const { driver } = session;
    const agent = this.#bySession.get(driver);
    if (agent) return this.#ask(agent, limits, (signal) => work(driver, signal));
    // Its agent is gone with it: another one opens it for this.
    const slot: AgentSlot = { request: driver, session: driver, generation: 0 };
    const other = this.#agentAt(`\0${session.id}`, driver.directory);
    other.slots.add(slot);
    const onSame = (signal: AbortSignal) => {
      if (slot.outcome !== 'replaced') return work(driver, signal);
      throw new SupervisorError('ERR_SESSION_NOT_FOUND', 'The agent cannot continue the session.', {
        backend: this.id,
      });
    };
    return this.#ask(other, limits, onSame).finally(() => this.#vacate(other, slot));
  }

  /** The sessions that agents keep of a directory: asked of one that runs there, or of one that is started for it. */
  async listSessions(directory: string, limits: RequestLimits): Promise<BackendSession[]> {
    const running = this.agents.find((agent) => agent.isOpen && agent.directory === directory);
    const agent = running ?? this.#agentAt(`\0${directory}`, directory);
    agent.visitors += 1;
    const work = async (signal: AbortSignal) => (await agent.process?.listSessions(directory, signal)) ?? [];
    return this.#ask(agent, limits, work).finally(() => {
      agent.visitors -= 1;
      this.#restIfUnused(agent);
    });
  }

  failTurns(failure: Failure): void {
    for (const agent of this.agents) agent.failTurns(failure);
  }

  /** A session is open again in the next life of its agent. */
  restored(driver: DriverSession, outcome: 'restored' | 'replaced'): void {
    const session = [...this.sessions].find((candidate) => candidate.driver === driver);
    if (session) this.#options.onRestored(session, outcome);
  }

  /** The agent rests, and nobody needs it any more: its actor goes, and so does it. */
  dropIfUnused(agent: AgentRuntime): void {
    if (agent.isNeeded || !agent.isAtRest || this.#agents.get(agent.key) !== agent) return;
    this.#agents.delete(agent.key);
    this.pool.refuse(agent, goneFailure(agent));
    this.closeActor(agent);
  }

  /** What remains of an agent that made room is a record. */
  closeActor(agent: AgentRuntime): void {
    const place = agent.close();
    if (!place) return;
    this.#places.leave(place);
    this.#options.command({ type: 'pool.closeAgent', ...place });
  }

  /** An actor again in the place of one that broke. */
  reopenActor(agent: AgentRuntime): void {
    const { place, carried } = agent;
    if (!place) return;
    const input = { backendId: this.id, agentId: place.agentId, carried, ...this.definition.settings.life };
    this.#options.command({ type: 'pool.openAgent', ...place, input });
  }

  /** Starts what rests of the agents, as far as there are places. Resolves when each works, or will not. */
  async warm(agents: readonly AgentRuntime[], timeoutMs: number): Promise<void> {
    await Promise.allSettled(agents.map((agent) => this.#ask(agent, { startMs: timeoutMs, requestMs: 1 }, nothing)));
  }

  async #openSlot(
    agent: AgentRuntime,
    slot: AgentSlot,
    { timeoutMs, signal }: OpenCircumstances,
  ): Promise<DriverSession> {
    const { clock } = this.#options;
    const endsAt = clock.now() + timeoutMs;
    return this.#whileWarm(agent, { timeoutMs, signal }, () => {
      if (slot.session) return Promise.resolve(slot.session);
      if (slot.refusal !== undefined) throw slot.refusal as Error;
      const leftMs = Math.max(1, Math.round(endsAt - clock.now()));
      const until = signal ?? new AbortController().signal;
      return withLimit(clock, leftMs, until, (limited) => agent.openSlot(slot, limited));
    });
  }

  /** Runs the work on an agent that works; it is started where it rests, and nobody evicts it meanwhile. */
  async #whileWarm<T>(agent: AgentRuntime, application: Application, work: () => Promise<T>): Promise<T> {
    const { clock, pool } = this.#options;
    const endsAt = clock.now() + application.timeoutMs;
    const letGo = await pool.admit(agent, application);
    try {
      agent.open();
      const timeoutMs = Math.max(1, Math.round(endsAt - clock.now()));
      await awaitHealthy(agent, { clock, ...application, timeoutMs });
      return await work();
    } finally {
      letGo();
    }
  }

  async #ask<T>(
    agent: AgentRuntime,
    { startMs, requestMs }: RequestLimits,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, pool } = this.#options;
    const ask = () => withLimit(clock, requestMs, agent.lifeEnded, work);
    return startMs === undefined
      ? ask().finally(pool.keep(agent))
      : this.#whileWarm(agent, { timeoutMs: startMs }, ask);
  }

  /** Another directory is another agent, also for the same conversation. */
  #agentFor(directory: string, chatId: string): AgentRuntime {
    const key = this.definition.settings.share === 'session' ? `${chatId}\0${directory}` : directory;
    return this.#agentAt(key, directory);
  }

  #agentAt(key: string, directory: string): AgentRuntime {
    const known = this.#agents.get(key);
    if (known) return known;
    const { id, scope, clock, logger, driver, pool, admitTimeoutMs } = this.#options;
    const agent = new AgentRuntime({
      ...{ id, scope, clock, logger, driver, pool, admitTimeoutMs },
      backendId: id,
      key,
      directory,
      command: (command) => this.#options.command(command),
      open: (opened) => this.#openActor(opened),
      onRestored: (session, outcome) => this.restored(session, outcome),
    });
    this.#agents.set(key, agent);
    return agent;
  }

  #openActor(agent: AgentRuntime): AgentPlace {
    if (this.#agents.get(agent.key) !== agent) throw fromFailure(goneFailure(agent)); // Its session was closed meanwhile.
    const place = this.#places.take(agent);
    agent.place = place;
    this.reopenActor(agent);
    return place;
  }

  #vacate(agent: AgentRuntime, slot: AgentSlot): void {
    agent.slots.delete(slot);
    this.#restIfUnused(agent);
  }

  #restIfUnused(agent: AgentRuntime): void {
    if (agent.isNeeded) return;
    agent.send({ type: 'life.stop' });
    this.dropIfUnused(agent);
  }
}

function goneFailure({ id }: AgentRuntime): Failure {
  return {
    code: 'ERR_SESSION_CLOSED',
    message: `Nobody needs an agent of ${id} there any more: its session was closed.`,
  };
}

const nothing = (): Promise<void> => Promise.resolve();
