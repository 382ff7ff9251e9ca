import { assign, enqueueActions, sendTo, setup, spawnChild, stopChild } from 'xstate';
import { backoffMachine } from './backoff-machine.ts';
import { groupMachine, type GroupMessage, type GroupReport } from './group-machine.ts';
import { healthMachine, type HealthReport } from './health-machine.ts';
import { notProvided } from './not-provided.ts';
import { classifyFailure, type Failure } from './policies/failure-class.ts';
import { healthVerdict } from './policies/health-verdict.ts';
import { admitRestart } from './policies/restart-policy.ts';
import type { ServerSettings } from './settings.ts';

export interface ServerInput extends ServerSettings {
  readonly backendId: string;
}

export interface ServerContext extends ServerInput {
  /** Process lives so far; the current one carries this number. */
  readonly generation: number;
  readonly pid: number | null;
  readonly port: number | null;
  readonly version: string | null;
  readonly restarts: number;
  readonly restartHistory: readonly number[];
  /** Failed lives in a row, for the backoff. */
  readonly attempt: number;
  /** A start from `failed` gets one attempt, not a new budget. */
  readonly budget: 'full' | 'one-attempt';
  readonly healthySince: number | null;
  /** How long the last life was healthy, and when it ended. */
  readonly healthyForMs: number;
  readonly endedAt: number;
  /** Failed checks in a row. */
  readonly failures: number;
  readonly turns: number;
  readonly waiters: number;
  /** Why the last life ended, or why this one is being ended; null where it was asked for. */
  readonly failure: Failure | null;
  /** The last failure until the server is healthy again, for the status. */
  readonly lastFailure: Failure | null;
  readonly streamGroups: readonly string[];
}

/** Commands, and facts. Every fact carries the monotonic time at which it held, in milliseconds. */
export type ServerEvent =
  | { readonly type: 'server.start' }
  | { readonly type: 'server.stop' }
  | { readonly type: 'server.restart'; readonly reason: string }
  | { readonly type: 'server.checkNow' }
  | { readonly type: 'server.demandChanged'; readonly turns: number; readonly waiters: number }
  | { readonly type: 'server.openStream'; readonly groupId: string; readonly streamId: string; readonly input: unknown }
  | { readonly type: 'server.closeStream'; readonly groupId: string; readonly streamId: string }
  | { readonly type: 'process.prepared'; readonly at: number; readonly port: number }
  | { readonly type: 'process.spawned'; readonly at: number; readonly pid: number }
  | { readonly type: 'process.listening'; readonly at: number; readonly port: number }
  | { readonly type: 'process.ended'; readonly at: number; readonly failure: Failure; readonly stderrTail: string }
  | { readonly type: 'verify.passed'; readonly at: number; readonly version: string }
  | { readonly type: 'verify.failed'; readonly at: number; readonly failure: Failure }
  | HealthReport
  | GroupReport;

/** Which life of which backend: all that the actors need to find their resources. */
export interface ServerSubject {
  readonly backendId: string;
  readonly generation: number;
}

const subject = ({ context }: { context: ServerContext }): ServerSubject => ({
  backendId: context.backendId,
  generation: context.generation,
});

export interface EndedLife {
  readonly at: number;
  readonly failure: Failure;
  readonly stderrTail: string;
}

export interface StreamPlace {
  readonly groupId: string;
  readonly streamId: string;
}

/** Types, actions, guards and delays of the server chart; the states are in `server-machine.ts`. */
export const setupServer = setup({
  types: { input: {} as ServerInput, context: {} as ServerContext, events: {} as ServerEvent },
  actors: {
    /** One process life: prepared, spawned, listening, and in every case ended, once. Stopping the actor kills it. */
    process: notProvided<ServerSubject>('process'),
    /** Proves that the server is ours and answers for its own directory. */
    verify: notProvided<ServerSubject>('verify'),
    health: healthMachine,
    backoff: backoffMachine,
    group: groupMachine,
  },
  actions: {
    /** Called when the server's actor runs; the composition binds its data plane here. */
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
    noteHealthy: assign((_, { at, version }: { readonly at: number; readonly version: string }) => ({
      version,
      healthySince: at,
      failures: 0,
      failure: null,
      lastFailure: null,
      budget: 'full' as const,
    })),
    noteFailure: assign((_, { failure }: { readonly failure: Failure }) => failing(failure)),
    noteReadyTimeout: assign(({ context }) => failing(readyTimeout(context))),
    noteUnhealthy: assign(({ context }) => failing(unhealthy(context))),
    noteEnd: assign(({ context }, end: EndedLife) => ({
      ...failing(context.failure ? withStderr(context.failure, end.stderrTail) : end.failure),
      ...lifetime(context, end.at),
    })),
    noteIntendedEnd: assign(({ context }, end: EndedLife) => lifetime(context, end.at)),
    noteDemand: assign((_, demand: { readonly turns: number; readonly waiters: number }) => demand),
    passCheck: assign({ failures: 0 }),
    failCheck: assign({ failures: ({ context }) => context.failures + 1 }),
    forgetFailure: assign({ failure: null }),
    resetBackoff: assign({ attempt: 0 }),
    grantBudget: assign({ budget: 'full' as const, attempt: 0 }),
    grantOneAttempt: assign({ budget: 'one-attempt' as const }),
    countAskedRestart: assign({ restarts: ({ context }) => context.restarts + 1 }),
    countRestart: assign(({ context }) => ({
      restarts: context.restarts + 1,
      attempt: context.attempt + 1,
      restartHistory: admitRestart(context.restart, context.restartHistory, context.endedAt).history,
    })),
    noteRestartLimit: assign(({ context }) => failing(restartLimit(context))),
  },
  guards: {
    /** Somebody needs the server, or it is to be kept running regardless. */
    isWanted: ({ context }) => context.restart.when === 'always' || context.turns + context.waiters > 0,
    isBusy: ({ context }) => context.turns > 0,
    isIntended: ({ context }) => context.failure === null,
    isPermanent: ({ context }) => context.failure !== null && classifyFailure(context.failure) === 'permanent',
    isOnlyAttempt: ({ context }) => context.budget === 'one-attempt',
    isOverIntensity: ({ context }) => !admitRestart(context.restart, context.restartHistory, context.endedAt).admitted,
    isFailedForGood: ({ context }) => nextVerdict(context) === 'restart',
    isUsedUp: ({ context }) => context.failures >= context.health.failureThreshold,
    hasTurns: (_, params: { readonly turns: number }) => params.turns > 0,
  },
  delays: {
    readyTimeout: ({ context }) => context.readyTimeoutMs,
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

function nextVerdict({ failures, health, turns }: ServerContext) {
  return healthVerdict({ failures: failures + 1, failureThreshold: health.failureThreshold, busy: turns > 0 });
}

function lifetime({ healthySince }: ServerContext, at: number) {
  return { endedAt: at, healthyForMs: healthySince === null ? 0 : at - healthySince, healthySince: null };
}

function failing(failure: Failure) {
  return { failure, lastFailure: failure };
}

function withStderr(failure: Failure, stderrTail: string): Failure {
  return stderrTail === '' ? failure : { ...failure, message: `${failure.message}; stderr: ${stderrTail}` };
}

function readyTimeout({ label, readyTimeoutMs }: ServerContext): Failure {
  return { code: 'ERR_READY_TIMEOUT', message: `${label} not ready in ${readyTimeoutMs}ms` };
}

function unhealthy({ failures, health }: ServerContext): Failure {
  const limit =
    failures >= health.failureThreshold ? `${failures} checks in a row` : `${health.busyGraceMs} ms of failed checks`;
  return {
    code: 'ERR_BACKEND_EXITED',
    reason: 'unhealthy',
    message: `The server failed ${limit}; it is being replaced.`,
  };
}

function restartLimit({ restart, failure }: ServerContext): Failure {
  const limit = `${restart.maxRestarts} restarts in ${restart.windowMs} ms`;
  const message = `Gave up after ${limit}. Last failure: ${failure?.message ?? 'none'}`;
  return { code: 'ERR_RESTART_LIMIT', message, ...(failure ? { reason: failure.code } : {}) };
}
