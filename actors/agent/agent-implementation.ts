import { agentMachine } from '../../machines/agent-machine.ts';
import { backoffMachine } from '../../machines/backoff-machine.ts';
import { groupMachine } from '../../machines/group-machine.ts';
import { healthMachine } from '../../machines/health-machine.ts';
import type { AgentEvent, LifeSubject } from '../../machines/life-types.ts';
import { poolMachine } from '../../machines/pool-machine.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { lifeObserver, probeActor, processActor } from '../backend/life-actors.ts';
import type { StateChange } from '../backend/life-runtime.ts';
import { reasonOf } from '../backend/transition-reason.ts';
import type { LifecycleState } from '../contract/status.ts';
import { toFailure } from '../errors.ts';
import { guarded } from '../guarded.ts';
import type { Registry } from '../registry.ts';
import type { AgentRuntime } from './agent-runtime.ts';

/** What the composition wants to hear of a pool and its agents. */
export interface PoolObserver {
  agentChanged(backendId: string, agent: AgentRuntime, change: StateChange): void;
  agentCrashed(backendId: string, agentId: string, error: unknown): void;
  poolCommanded(backendId: string): void;
}

/** The pool chart over the agents. */
export function providePool(registry: Registry, observer: PoolObserver) {
  const { logger } = registry;
  return poolMachine.provide({
    actors: { group: groupMachine.provide({ actors: { child: provideAgent(registry, observer) as never } }) },
    actions: {
      reportPool: guarded(logger, 'reportPool', ({ context }) => observer.poolCommanded(context.backendId)),
      reportAgentCrash: guarded(logger, 'reportAgentCrash', ({ context }, { agentId, error }) =>
        observer.agentCrashed(context.backendId, agentId, error),
      ),
    },
  });
}

/** The agent chart over the drivers. */
function provideAgent(registry: Registry, observer: PoolObserver) {
  const { logger } = registry;
  const agentOf = ({ backendId, agentId }: Pick<LifeSubject, 'backendId' | 'agentId'>) =>
    registry.agent(backendId, agentId);
  return agentMachine.provide({
    actors: {
      process: processActor((subject) => ({
        life: agentOf(subject),
        launch: (generation, tell) =>
          agentOf(subject).launch(generation, lifeObserver(registry, subject.backendId, tell)),
      })),
      handshake: handshakeActor(registry),
      openSessions: openSessionsActor(registry),
      health: healthMachine.provide({
        actors: {
          probe: probeActor(registry, ({ backendId, agentId }) => {
            const agent = registry.agent(backendId, agentId);
            return {
              life: agent,
              intervalMs: agent.actor?.getSnapshot().context.health.intervalMs ?? 0,
              lastSeenAt: () => agent.process?.lastSeenAt() ?? Number.NEGATIVE_INFINITY,
              probe: async (signal) => agent.process?.probe(signal),
            };
          }),
        },
      }),
      backoff: backoffMachine.provide({ delays: { wait: ({ context }) => registry.backoffDelay(context) } }),
    },
    actions: {
      announce: guarded(logger, 'announce', ({ context, self }) => agentOf(context).bind(self)),
      reportState: guarded(logger, 'reportState', ({ context, event }, { state }) => {
        const agent = agentOf(context);
        const reason = reasonOf(event, context.lastFailure);
        agent.isEvicted = event.type === 'life.evict' || (agent.isEvicted && state === 'idle');
        const change = agent.changed(state as LifecycleState, reason, context.lastFailure);
        observer.agentChanged(context.backendId, agent, change);
      }),
    },
  });
}

function handshakeActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<AgentEvent, LifeSubject>(registry, async ({ backendId, agentId }, { signal, tell }) => {
    const { process } = registry.agent(backendId, agentId);
    try {
      const done = await process?.handshake(signal);
      tell({ type: 'handshake.done', at: clock.now(), version: done?.version ?? null });
    } catch (error) {
      if (!process?.isConnected) return; // Its end tells why.
      tell({ type: 'handshake.failed', at: clock.now(), failure: toFailure(error, 'ERR_HANDSHAKE_FAILED') });
    }
  });
}

function openSessionsActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<AgentEvent, LifeSubject>(registry, async ({ backendId, agentId }, { signal, tell }) => {
    const agent = registry.agent(backendId, agentId);
    try {
      await agent.openSlots(signal);
      tell({ type: 'sessions.opened', at: clock.now() });
    } catch (error) {
      if (!agent.process?.isConnected) return; // Its end tells why.
      tell({ type: 'sessions.failed', at: clock.now(), failure: toFailure(error, 'ERR_PROTOCOL') });
    }
  });
}
