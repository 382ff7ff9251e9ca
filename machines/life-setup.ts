import { assign, enqueueActions, sendTo, setup, spawnChild, stopChild } from 'xstate';
import { backoffMachine } from './backoff-machine.ts';
import { groupMachine, type GroupMessage, type GroupReport } from './group-machine.ts';
import { healthMachine, type HealthReport } from './health-machine.ts';
import { notProvided } from './not-provided.ts';
import { classifyFailure, type Failure } from './policies/failure-class.ts';
import {
  countRestart,
  ended,
  endedAsAsked,
  type EndedLife,
  failing,
  isOverIntensity,
  type LifeRecord,
  nextVerdict,
  notReady,
  overIntensity,
  unhealthyFor,
  working,
} from './policies/process-life.ts';
import type { LifeSettings } from './settings.ts';

/** What the chart of a server or an agent is started with. A server is its backend; of agents a backend has several. */
export interface LifeInput extends LifeSettings {
  readonly backendId: string;
  readonly agentId: string | null;
}

export interface LifeContext extends LifeInput, LifeRecord {
  /** Where a server listens. */
  readonly port: number | null;
  readonly streamGroups: readonly string[];
}

/** Commands that a server and an agent know. */
export type LifeCommand =
  | { readonly type: 'life.start' }
  | { readonly type: 'life.stop' }
  | { readonly type: 'life.restart'; readonly reason: string }
  | { readonly type: 'life.checkNow' }
  | { readonly type: 'life.demandChanged'; readonly turns: number; readonly waiters: number };

/** Facts about one process life. Every fact carries the monotonic time at which it held, in milliseconds. */
type LifeFact =
  | { readonly type: 'process.spawned'; readonly at: number; readonly pid: number }
  | { readonly type: 'process.ended'; readonly at: number; readonly failure: Failure; readonly stderrTail: string }
  | HealthReport;

export type ServerEvent =
  | LifeCommand
  | LifeFact
  | { readonly type: 'server.openStream'; readonly groupId: string; readonly streamId: string; readonly input: unknown }
  | { readonly type: 'server.closeStream'; readonly groupId: string; readonly streamId: string }
  | { readonly type: 'process.prepared'; readonly at: number; readonly port: number }
  | { readonly type: 'process.listening'; readonly at: number; readonly port: number }
  | { readonly type: 'verify.passed'; readonly at: number; readonly version: string }
  | { readonly type: 'verify.failed'; readonly at: number; readonly failure: Failure }
  | GroupReport;

export type AgentEvent =
  | LifeCommand
  | LifeFact
  | { readonly type: 'handshake.done'; readonly at: number; readonly version: string | null }
  | { readonly type: 'handshake.failed'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'sessions.opened'; readonly at: number }
  | { readonly type: 'sessions.failed'; readonly at: number; readonly failure: Failure };

/** Which life of what: all that the actors need to find their resources. */
export interface LifeSubject {
  readonly backendId: string;
  readonly agentId: string | null;
  readonly generation: number;
}

export const subject = ({ context }: { context: LifeContext }): LifeSubject => ({
  backendId: context.backendId,
  agentId: context.agentId,
  generation: context.generation,
});

export interface StreamPlace {
  readonly groupId: string;
  readonly streamId: string;
}

/** Types, actions, guards and delays of the charts of process lives; their states are in the `life-*`, `server-*` and `agent-*` files. */
export const setupLife = setup({
  types: { input: {} as LifeInput, context: {} as LifeContext, events: {} as AgentEvent | ServerEvent },
  actors: {
    /** One process life, which ends with one `process.ended` in every case. Stopping the actor kills it. */
    process: notProvided<LifeSubject>('process'),
    /** Proves that the server is ours and answers for its own directory. */
    verify: notProvided<LifeSubject>('verify'),
    /** Agrees with the agent on the protocol and on what both can do. */
    handshake: notProvided<LifeSubject>('handshake'),
    /** Opens the sessions that belong to the agent: anew the first time, again after a restart. */
    openSessions: notProvided<LifeSubject>('openSessions'),
    health: healthMachine,
    backoff: backoffMachine,
    group: groupMachine,
  },
  actions: {
    /** Called when the actor runs; the composition binds its data plane here. */
    announce: () => undefined,
    /** Called on entry of a top-level state; the composition tells the host. */
    reportState: (_, _params: { readonly state: string }) => undefined,
    /** The chart of a stream broke; the composition closes what it held, and opens it anew. */
    reportStreamCrash: (_, _params: { readonly streamId: string; readonly error: unknown }) => undefined,
    launch: spawnChild('process', { id: 'process', input: subject }),
    countLife: assign({ generation: ({ context }) => context.generation + 1, pid: null, port: null, version: null }),
    stopProcess: sendTo('process', { type: 'process.stop' }),
    killProcess: sendTo('process', { type: 'process.kill' }),
    forgetProcess: stopChild('process'),
    clearProcess: assign({ pid: null, port: null }),
    checkNow: sendTo('health', { type: 'health.checkNow' }),
    notePort: assign((_, { port }: { readonly port: number }) => ({ port })),
    notePid: assign((_, { pid }: { readonly pid: number }) => ({ pid })),
    noteHealthy: assign((_, { at, version }: { readonly at: number; readonly version: string }) =>
      working(at, version),
    ),
    noteFailure: assign((_, { failure }: { readonly failure: Failure }) => failing(failure)),
    noteVersion: assign((_, { version }: { readonly version: string | null }) => ({ version })),
    noteOpen: assign(({ context }, { at }: { readonly at: number }) => working(at, context.version)),
    noteHandshakeTimeout: assign(({ context }) =>
      failing(notReady(`${context.label}: initialize`, context.handshakeTimeoutMs ?? context.readyTimeoutMs)),
    ),
    noteOpenTimeout: assign(({ context }) =>
      failing(notReady(`${context.label}: session`, context.openTimeoutMs ?? context.readyTimeoutMs)),
    ),
    noteReadyTimeout: assign(({ context }) => failing(notReady(context.label, context.readyTimeoutMs))),
    noteUnhealthy: assign(({ context }) => failing(unhealthyFor(context))),
    noteEnd: assign(({ context }, end: EndedLife) => ended(context, end)),
    noteIntendedEnd: assign(({ context }, end: EndedLife) => endedAsAsked(context, end)),
    noteDemand: assign((_, demand: { readonly turns: number; readonly waiters: number }) => demand),
    passCheck: assign({ failures: 0 }),
    failCheck: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailure: assign({ failure: null }),
    resetBackoff: assign({ attempt: 0 }),
    grantBudget: assign({ budget: 'full' as const, attempt: 0 }),
    grantOneAttempt: assign({ budget: 'one-attempt' as const }),
    countAskedRestart: assign({ restarts: ({ context }) => context.restarts + 1 }),
    countRestart: assign(({ context }) => countRestart(context)),
    noteRestartLimit: assign(({ context }) => failing(overIntensity(context))),
  },
  guards: {
    /** Somebody needs it, or it is to be kept running regardless. */
    isWanted: ({ context }) => context.restart.when === 'always' || context.turns + context.waiters > 0,
    isBusy: ({ context }) => context.turns > 0,
    isIntended: ({ context }) => context.failure === null,
    isPermanent: ({ context }) => context.failure !== null && classifyFailure(context.failure) === 'permanent',
    isOnlyAttempt: ({ context }) => context.budget === 'one-attempt',
    isOverIntensity: ({ context }) => isOverIntensity(context),
    isFailedForGood: ({ context }) => nextVerdict(context) === 'restart',
    isUsedUp: ({ context }) => context.failures >= context.health.failureThreshold,
    hasTurns: (_, params: { readonly turns: number }) => params.turns > 0,
  },
  delays: {
    readyTimeout: ({ context }) => context.readyTimeoutMs,
    handshakeTimeout: ({ context }) => context.handshakeTimeoutMs ?? context.readyTimeoutMs,
    openTimeout: ({ context }) => context.openTimeoutMs ?? context.readyTimeoutMs,
    stopLimit: ({ context }) => context.stopLimitMs,
    busyGrace: ({ context }) => context.health.busyGraceMs,
    resetAfter: ({ context }) => context.restart.resetAfterMs,
  },
}).extend({
  actions: {
    openStream: enqueueActions(({ context, enqueue }, params: StreamPlace & { readonly input: unknown }) => {
      if (!context.streamGroups.includes(params.groupId)) {
        enqueue.spawnChild('group', { id: params.groupId });
        enqueue.assign({ streamGroups: [...context.streamGroups, params.groupId] });
      }
      enqueue.sendTo(params.groupId, { type: 'group.open', childId: params.streamId, input: params.input });
    }),
    closeStream: enqueueActions(({ context, enqueue }, params: StreamPlace) => {
      if (!context.streamGroups.includes(params.groupId)) return;
      enqueue.sendTo(params.groupId, { type: 'group.close', childId: params.streamId });
    }),
    tellStreams: enqueueActions(({ context, enqueue }, params: { readonly message: GroupMessage }) => {
      for (const groupId of context.streamGroups) {
        enqueue.sendTo(groupId, { type: 'group.tellAll', message: params.message });
      }
    }),
  },
});
