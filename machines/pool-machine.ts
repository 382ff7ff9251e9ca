import { enqueueActions, setup } from 'xstate';
import { groupMachine, type GroupMessage, type GroupReport } from './group-machine.ts';
import type { LifeCommand } from './life-types.ts';

/** What the chart of a pool is started with. */
export interface PoolInput {
  readonly backendId: string;
}

export interface PoolContext extends PoolInput {
  readonly agentGroups: readonly string[];
}

/** Where an agent lives: which group, and under which id. */
export interface AgentPlace {
  readonly groupId: string;
  readonly agentId: string;
}

/** A command names the agent that it is for; without a name it is for all of them. */
export type PoolEvent =
  | (LifeCommand & { readonly place?: AgentPlace })
  | ({ readonly type: 'pool.openAgent'; readonly input: unknown } & AgentPlace)
  | ({ readonly type: 'pool.closeAgent' } & AgentPlace)
  | GroupReport;

const setupPool = setup({
  types: { input: {} as PoolInput, context: {} as PoolContext, events: {} as PoolEvent },
  actors: { group: groupMachine },
  actions: {
    /** The chart of an agent broke; the composition closes what it held. */
    reportAgentCrash: (_, _params: { readonly agentId: string; readonly error: unknown }) => undefined,
    /** A command was passed on: the composition tells what state the pool is in, also where nobody was there to hear it. */
    reportPool: () => undefined,
  },
}).extend({
  actions: {
    openAgent: enqueueActions(({ context, enqueue }, params: AgentPlace & { readonly input: unknown }) => {
      if (!context.agentGroups.includes(params.groupId)) enqueue.spawnChild('group', { id: params.groupId });
      enqueue.assign({ agentGroups: [...new Set([...context.agentGroups, params.groupId])] });
      enqueue.sendTo(params.groupId, { type: 'group.open', childId: params.agentId, input: params.input });
    }),
    closeAgent: enqueueActions(({ context, enqueue }, { groupId, agentId }: AgentPlace) => {
      if (context.agentGroups.includes(groupId)) enqueue.sendTo(groupId, { type: 'group.close', childId: agentId });
    }),
    tellAgents: enqueueActions(
      ({ context, enqueue }, { place, message }: { readonly place?: AgentPlace; readonly message: GroupMessage }) => {
        for (const groupId of context.agentGroups) {
          if (!place) enqueue.sendTo(groupId, { type: 'group.tellAll', message });
          else if (place.groupId === groupId)
            enqueue.sendTo(groupId, { type: 'group.tell', childId: place.agentId, message });
        }
      },
    ),
  },
});

/** A backend that is as many agents as it has conversations. It passes commands on; each agent decides for itself. */
export const poolMachine = setupPool.createMachine({
  id: 'pool',
  context: ({ input }) => ({ ...input, agentGroups: [] }),
  initial: 'holding',
  states: {
    holding: {
      description: 'Agents come and go with their conversations.',
      on: {
        'life.*': {
          actions: [
            {
              type: 'tellAgents',
              params: ({ event: { place, ...message } }) => ({ message, ...(place ? { place } : {}) }),
            },
            'reportPool',
          ],
        },
        'pool.openAgent': {
          actions: {
            type: 'openAgent',
            params: ({ event }) => ({ groupId: event.groupId, agentId: event.agentId, input: event.input }),
          },
        },
        'pool.closeAgent': {
          actions: {
            type: 'closeAgent',
            params: ({ event }) => ({ groupId: event.groupId, agentId: event.agentId }),
          },
        },
        'group.childFailed': {
          actions: {
            type: 'reportAgentCrash',
            params: ({ event }) => ({ agentId: event.childId, error: event.error }),
          },
        },
      },
    },
  },
});
