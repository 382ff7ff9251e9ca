import type { Failure } from '../../machines/policies/failure-class.ts';
import { admitRestart } from '../../machines/policies/restart-policy.ts';
import { backendActorId } from '../../machines/supervisor-setup.ts';
import { AgentBackend } from '../agent/agent-backend.ts';
import type { AgentRuntime } from '../agent/agent-runtime.ts';
import type { Backend } from '../backend/backend.ts';
import type { LifeRuntime, StateChange } from '../backend/life-runtime.ts';
import { reasonOf } from '../backend/transition-reason.ts';
import type { LifecycleState } from '../contract/status.ts';
import type { SupervisorEvents } from '../contract/supervisor.ts';
import { messageOf, toFailure } from '../errors.ts';
import type { StreamChange } from '../registry.ts';
import type { TakenStep } from '../server/recovery-actors.ts';
import { ServerBackend } from '../server/server-backend.ts';
import type { SessionRecord } from '../session/session-record.ts';
import type { StreamRuntime } from '../stream/stream-runtime.ts';
import type { SupervisorRuntime } from './runtime.ts';
import type { RootObserver } from './supervisor-implementation.ts';

/** Charts that break are restarted within this intensity, each for itself. */
export const CHART_INTENSITY = { maxRestarts: 5, windowMs: 180_000 };

type Told = Omit<SupervisorEvents['transition'], 'at'>;

/** What the charts tell becomes what the host hears, and what the turns that depend on it learn. */
export class RootReports implements RootObserver {
  readonly #runtime: SupervisorRuntime;
  /** The state of each pool, as last told. */
  readonly #pools = new Map<string, LifecycleState>();

  constructor(runtime: SupervisorRuntime) {
    this.#runtime = runtime;
  }

  stateChanged(backend: ServerBackend, change: StateChange): void {
    const { from, to, failure, reason } = change;
    if (from !== to) {
      this.#log(`Backend ${backend.id}`, change, { backend: backend.id });
      this.#tellTurns(backend, change);
      this.transition({ kind: 'backend', id: backend.id, backend: backend.id, from, to, reason });
    }
    if (to === 'failed' || to === 'idle') backend.failTurns(failure ?? stoppedFailure(backend.id));
    this.#runtime.send({ type: 'backend.stateChanged', backendId: backend.id, state: to });
    for (const session of backend.sessions) session.admitNext();
  }

  stepTaken({ id: backend }: ServerBackend, taken: TakenStep): void {
    const { step, outcome, message } = taken;
    this.#runtime.logger.warn({ backend, ...taken }, `Backend ${backend}: ${step} → ${outcome} (${message})`);
    this.#runtime.emitter.emit('recovery', { backend, ...taken });
  }

  agentChanged(backendId: string, agent: AgentRuntime, change: StateChange): void {
    const { from, to, failure, reason } = change;
    const at = this.#runtime.clock.now();
    if (from !== to) {
      this.#log(`Agent ${agent.id}`, change, { backend: backendId, agent: agent.id });
      this.#tellTurns(agent, change);
      this.transition({ kind: 'instance', id: agent.id, backend: backendId, from, to, reason });
    }
    if (to === 'healthy') for (const session of agent.sessions) session.tellRunning({ type: 'backend.available', at });
    if (from !== to && agent.isAtRest && !agent.isEvicted) agent.failTurns(failure ?? stoppedFailure(backendId));
    if (from === 'stopping' && to === 'idle' && agent.isEvicted) this.#evicted(backendId, agent);
    this.#poolChanged(backendId, reason);
    for (const session of agent.sessions) session.admitNext();
    this.#pool(backendId)?.dropIfUnused(agent);
    this.#runtime.warmPool.changed(agent);
  }

  /** The agent's conversations go on when somebody needs them. */
  #evicted(backendId: string, agent: AgentRuntime): void {
    this.#pool(backendId)?.closeActor(agent);
    for (const session of agent.sessions) this.#told(session, 'evicted');
  }

  poolCommanded(backendId: string): void {
    const state = this.#pool(backendId)?.state ?? 'idle';
    this.#runtime.send({ type: 'backend.stateChanged', backendId, state });
  }

  streamChanged(backendId: string, stream: StreamRuntime, { to, event, failure }: StreamChange): void {
    const from = stream.state;
    stream.state = to as LifecycleState;
    if (from === to) return;
    const reason = reasonOf(event, failure);
    const id = `${backendId}/${stream.id}`;
    this.#runtime.logger.debug({ stream: id, from, to, reason }, `Stream ${id}: ${from} → ${to} (${reason})`);
    this.transition({ kind: 'stream', id, backend: backendId, from, to, reason });
  }

  supervisorChanged(state: string): void {
    this.#runtime.supervisorChanged(state);
  }

  turnGone(childId: string, error: unknown): void {
    this.#runtime.turnGone(childId, error);
  }

  /** Every actor is gone. */
  stopped(): void {
    for (const backend of this.#runtime.backends.values()) {
      if (backend instanceof ServerBackend && backend.state !== 'idle')
        this.stateChanged(backend, backend.changed('idle', 'the supervisor stopped', null));
    }
  }

  /** A session goes on in the next life of its agent. */
  restored(session: SessionRecord, outcome: 'restored' | 'replaced'): void {
    session.restored = outcome;
    if (outcome === 'replaced') session.hasHistory = false;
    this.#runtime.memory.note(session);
    this.#told(session, outcome);
  }

  #told(session: SessionRecord, type: 'restored' | 'replaced' | 'evicted'): void {
    const { chatId, backendId: backend } = session.settings;
    this.#runtime.emitter.emit('session', { type, sessionId: session.id, chatId, backend });
  }

  /** A chart broke. Its children run on without an owner: their resources are released before anything else. */
  crashed(actorId: string, error: unknown): void {
    const backend = [...this.#runtime.backends.values()].find(({ id }) => backendActorId(id) === actorId);
    const message = `The chart ${actorId} broke: ${messageOf(error)}`;
    this.#runtime.warn({ code: 'ERR_INTERNAL', message, ...(backend ? { backend: backend.id } : {}) });
    if (!backend) return;
    const lives = livesOf(backend);
    for (const life of lives) life.lifeOver();
    if (backend instanceof ServerBackend) backend.streams.clear();
    void backend.scope.release().then(() => {
      for (const life of lives) life.changed('idle', `its chart broke: ${messageOf(error)}`, toFailure(error));
      if (backend instanceof AgentBackend) backend.failTurns(toFailure(error));
      this.#runtime.send({ type: 'backend.crashed', at: this.#runtime.clock.now(), backendId: backend.id });
      if (backend instanceof ServerBackend) for (const session of backend.sessions) backend.attach(session);
      if (backend instanceof AgentBackend) for (const agent of backend.agents) backend.reopenActor(agent);
    });
  }

  /** An agent's chart broke: the agent starts anew with its next use, or is given up. */
  agentCrashed(backendId: string, agentId: string, error: unknown): void {
    const backend = this.#pool(backendId);
    const agent = backend?.agents.find(({ place }) => place?.agentId === agentId);
    if (!backend || !agent) return;
    const message = `The chart of ${agent.id} broke: ${messageOf(error)}`;
    this.#runtime.warn({ code: 'ERR_INTERNAL', message, backend: backendId });
    const { admitted, history } = admitRestart(CHART_INTENSITY, agent.crashes, this.#runtime.clock.now());
    agent.crashes = history;
    agent.abandoned = !admitted;
    agent.lifeOver();
    agent.process?.kill();
    this.agentChanged(backendId, agent, agent.changed(admitted ? 'idle' : 'failed', message, toFailure(error)));
    if (admitted) backend.reopenActor(agent);
  }

  /** A stream's chart broke: it is opened anew, or, where that is of no use any more, not before the next prompt. */
  streamCrashed(backend: ServerBackend, streamId: string, error: unknown): void {
    const stream = backend.streamById(streamId);
    if (!stream || backend.streams.get(stream.key) !== stream) return; // It was closed meanwhile.
    const at = this.#runtime.clock.now();
    const failure = toFailure(error);
    const message = `The chart of ${backend.id}/${streamId} broke: ${messageOf(error)}`;
    this.#runtime.warn({ code: 'ERR_INTERNAL', message, backend: backend.id });
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
    const backend = this.#runtime.backend(backendId);
    const message = `The chart of ${backendId} broke too often; it is given up.`;
    const failure: Failure = { code: 'ERR_INTERNAL', message };
    for (const life of livesOf(backend)) life.abandoned = true;
    if (backend instanceof ServerBackend) this.stateChanged(backend, backend.changed('failed', message, failure));
    if (backend instanceof AgentBackend)
      for (const agent of backend.agents)
        this.agentChanged(backendId, agent, agent.changed('failed', message, failure));
  }

  transition(told: Told): void {
    const at = new Date(this.#runtime.clock.wallNow()).toISOString();
    this.#runtime.emitter.emit('transition', { ...told, at });
  }

  #poolChanged(backendId: string, reason: string): void {
    const to = this.#pool(backendId)?.state ?? 'idle';
    const from = this.#pools.get(backendId) ?? 'idle';
    this.#pools.set(backendId, to);
    if (from !== to) this.transition({ kind: 'backend', id: backendId, backend: backendId, from, to, reason });
    this.#runtime.send({ type: 'backend.stateChanged', backendId, state: to });
  }

  #pool(backendId: string): AgentBackend | undefined {
    const backend = this.#runtime.backend(backendId);
    return backend instanceof AgentBackend ? backend : undefined;
  }

  #tellTurns(life: LifeRuntime, { to, reason }: StateChange): void {
    for (const session of life.sessions) session.running?.feed.push({ type: 'backend', state: to, reason });
  }

  #log(what: string, { from, to, reason }: StateChange, names: object): void {
    const level = to === 'unhealthy' || to === 'recovering' || to === 'failed' ? 'warn' : 'info';
    this.#runtime.logger[level]({ ...names, from, to, reason }, `${what}: ${from} → ${to} (${reason})`);
  }
}

function livesOf(backend: Backend): readonly LifeRuntime[] {
  if (backend instanceof ServerBackend) return [backend];
  return backend instanceof AgentBackend ? backend.agents : [];
}

function stoppedFailure(backendId: string): Failure {
  return { code: 'ERR_STOPPED', message: `The backend ${backendId} was stopped.` };
}
