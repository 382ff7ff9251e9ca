import { assign, enqueueActions, setup } from 'xstate';
import { groupMachine, type GroupMessage, type GroupReport } from './group-machine.ts';
import { admitRestart } from './policies/restart-policy.ts';
import { poolMachine } from './pool-machine.ts';
import { externalMachine } from './external-machine.ts';
import { serverMachine } from './server-machine.ts';
import type { LifeSettings } from './settings.ts';

export interface SupervisorInput {
  /** The backends in the order they were named: a server with the settings of its chart, or a pool of agents. */
  readonly backends: Readonly<Record<string, LifeSettings | 'pool'>>;
  /** Charts that break are restarted within this intensity, each for itself. */
  readonly intensity: { readonly maxRestarts: number; readonly windowMs: number };
  /** Longest wait for the cancelled turns while draining, in milliseconds. */
  readonly cancelLimitMs: number;
}

export interface SupervisorContext extends SupervisorInput {
  /** Backends in the order in which they were started. */
  readonly startOrder: readonly string[];
  /** The top-level state of each backend, as last reported. */
  readonly states: Readonly<Record<string, string>>;
  readonly crashes: Readonly<Record<string, readonly number[]>>;
  /** Backends whose chart broke too often: no actor runs for them any more. */
  readonly abandoned: readonly string[];
  readonly turnGroups: readonly string[];
  readonly turns: number;
  readonly graceMs: number;
}

export type SupervisorEvent =
  | { readonly type: 'supervisor.stop'; readonly graceMs: number }
  | {
      readonly type: 'supervisor.openTurn';
      readonly groupId: string;
      readonly childId: string;
      readonly input: unknown;
    }
  | { readonly type: 'backend.command'; readonly backendId: string; readonly command: GroupMessage }
  | { readonly type: 'backend.stateChanged'; readonly backendId: string; readonly state: string }
  | { readonly type: 'backend.crashed'; readonly at: number; readonly backendId: string }
  | { readonly type: `xstate.error.actor.${string}`; readonly actorId: string; readonly error: unknown }
  | GroupReport;

/** The id of a backend's actor, whatever it is. */
export const backendActorId = (backendId: string): string => `backend:${backendId}`;

/** Types, actions, guards and delays of the supervisor chart; the states are in `supervisor-machine.ts`. */
export const setupSupervisor = setup({
  types: { input: {} as SupervisorInput, context: {} as SupervisorContext, events: {} as SupervisorEvent },
  actors: { server: serverMachine, external: externalMachine, pool: poolMachine, group: groupMachine },
  actions: {
    /** A chart broke: the composition releases its resources, logs, and answers with `backend.crashed`. */
    reportCrash: (_, _params: { readonly actorId: string; readonly error: unknown }) => undefined,
    /** A turn's actor is gone; its slot is free. `error` is set where the chart broke. */
    reportTurnGone: (_, _params: { readonly childId: string; readonly error?: unknown }) => undefined,
    /** A backend is given up for good: its chart broke too often. */
    reportAbandoned: (_, _params: { readonly backendId: string }) => undefined,
    reportState: (_, _params: { readonly state: string }) => undefined,
    noteGrace: assign((_, { graceMs }: { readonly graceMs: number }) => ({ graceMs })),
    noteState: assign(({ context }, { backendId, state }: { readonly backendId: string; readonly state: string }) => ({
      states: { ...context.states, [backendId]: state },
      startOrder:
        state === 'starting' ? [...context.startOrder.filter((id) => id !== backendId), backendId] : context.startOrder,
    })),
    noteCrash: assign(({ context }, { backendId, at }: { readonly backendId: string; readonly at: number }) => ({
      crashes: {
        ...context.crashes,
        [backendId]: admitRestart(context.intensity, crashesOf(context, backendId), at).history,
      },
      states: { ...context.states, [backendId]: 'idle' },
    })),
    noteAbandoned: assign(({ context }, { backendId }: { readonly backendId: string }) => ({
      abandoned: [...new Set([...context.abandoned, backendId])],
      states: { ...context.states, [backendId]: 'idle' },
    })),
    forgetTurn: assign({ turns: ({ context }) => Math.max(0, context.turns - 1) }),
  },
  guards: {
    hasNoTurns: ({ context }) => context.turns === 0,
    /** Nothing is started any more once the supervisor stops. */
    isNoStart: (_, { command }: { readonly command: GroupMessage }) => !isStart(command),
    isStopped: (_, { state }: { readonly state: string }) => state === 'idle',
    isQuiet: ({ context }) => runningBackends(context).length === 0,
    isWithinIntensity: ({ context }, { backendId, at }: { readonly backendId: string; readonly at: number }) =>
      admitRestart(context.intensity, crashesOf(context, backendId), at).admitted,
  },
  delays: {
    grace: ({ context }) => context.graceMs,
    cancelLimit: ({ context }) => context.cancelLimitMs,
  },
}).extend({
  actions: {
    spawnBackends: enqueueActions(({ context, enqueue }, _params: object) => {
      for (const [backendId, settings] of Object.entries(context.backends)) {
        const id = backendActorId(backendId);
        if (settings === 'pool') enqueue.spawnChild('pool', { id, input: { backendId } });
        else enqueue.spawnChild(chartOf(settings), { id, input: { backendId, agentId: null, ...settings } });
      }
    }),
    respawn: enqueueActions(({ context, enqueue }, { backendId }: { readonly backendId: string }) => {
      const settings = context.backends[backendId];
      const id = backendActorId(backendId);
      enqueue.stopChild(id);
      if (settings === 'pool') enqueue.spawnChild('pool', { id, input: { backendId } });
      else if (settings)
        enqueue.spawnChild(chartOf(settings), { id, input: { backendId, agentId: null, ...settings } });
    }),
    dropBackend: enqueueActions(({ enqueue }, { backendId }: { readonly backendId: string }) => {
      enqueue.stopChild(backendActorId(backendId));
    }),
    route: enqueueActions(
      ({ context, enqueue }, params: { readonly backendId: string; readonly command: GroupMessage }) => {
        if (!(params.backendId in context.backends) || context.abandoned.includes(params.backendId)) return;
        if (startsFrom(params.command).includes(stateOf(context, params.backendId))) {
          enqueue.assign(started(context, params.backendId));
        }
        enqueue.sendTo(backendActorId(params.backendId), params.command);
      },
    ),
    openTurn: enqueueActions(
      (
        { context, enqueue },
        params: { readonly groupId: string; readonly childId: string; readonly input: unknown },
      ) => {
        if (!context.turnGroups.includes(params.groupId)) enqueue.spawnChild('group', { id: params.groupId });
        enqueue.assign({
          turns: context.turns + 1,
          turnGroups: [...new Set([...context.turnGroups, params.groupId])],
        });
        enqueue.sendTo(params.groupId, { type: 'group.open', childId: params.childId, input: params.input });
      },
    ),
    /** Groups are made on demand and stopped when the last turn is gone. */
    dropEmptyGroups: enqueueActions(({ context, enqueue }, _params: object) => {
      if (context.turns > 0) return;
      for (const groupId of context.turnGroups) enqueue.stopChild(groupId);
      enqueue.assign({ turnGroups: [] });
    }),
    cancelTurns: enqueueActions(({ context, enqueue }, _params: object) => {
      const message = { type: 'turn.cancel' };
      for (const groupId of context.turnGroups) enqueue.sendTo(groupId, { type: 'group.tellAll', message });
    }),
    /** The last one started is the first one stopped; the next follows when it is idle. */
    stopLatest: enqueueActions(({ context, enqueue }, _params: object) => {
      const latest = runningBackends(context).at(-1);
      if (latest === undefined || context.states[latest] === 'stopping') return;
      enqueue.sendTo(backendActorId(latest), { type: 'life.stop' });
    }),
    /** Escalates: everything that still runs is told again, at once. */
    stopAll: enqueueActions(({ context, enqueue }, _params: object) => {
      for (const id of runningBackends(context)) enqueue.sendTo(backendActorId(id), { type: 'life.stop' });
    }),
  },
});

const chartOf = ({ mode }: LifeSettings) => (mode === 'external' ? 'external' : 'server');

/** The states in which a command makes a backend at rest start. */
const STARTS: Readonly<Record<string, readonly string[]>> = {
  'life.start': ['idle', 'failed'],
  'life.restart': ['idle', 'failed'],
  'life.reload': ['failed'],
};

const startsFrom = ({ type }: GroupMessage): readonly string[] => STARTS[type] ?? [];
const isStart = ({ type }: GroupMessage): boolean => type in STARTS;
const stateOf = ({ states }: SupervisorContext, backendId: string): string => states[backendId] ?? 'idle';

/** Noted with the command, not with its report: a stop right behind a start must know what there is to stop. */
function started({ startOrder, states }: SupervisorContext, backendId: string) {
  return {
    states: { ...states, [backendId]: 'starting' },
    startOrder: [...startOrder.filter((id) => id !== backendId), backendId],
  };
}

function crashesOf(context: SupervisorContext, backendId: string): readonly number[] {
  return context.crashes[backendId] ?? [];
}

function runningBackends({ startOrder, states, abandoned }: SupervisorContext): readonly string[] {
  return startOrder.filter((id) => states[id] !== 'idle' && !abandoned.includes(id));
}
