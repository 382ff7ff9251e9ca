import { assign, enqueueActions, sendTo, setup, spawnChild, stopChild } from 'xstate';
import { backoffMachine } from './backoff-machine.ts';
import { groupMachine, type GroupMessage } from './group-machine.ts';
import { healthMachine } from './health-machine.ts';
import type {
  AgentEvent,
  LifeContext,
  LifeInput,
  LifeSubject,
  ServerEvent,
  StepInput,
  StreamPlace,
} from './life-types.ts';
import { notProvided } from './not-provided.ts';
import { classifyFailure, type Failure } from './policies/failure-class.ts';
import {
  configuredWith,
  countRestart,
  ended,
  endedAsAsked,
  type EndedLife,
  failing,
  isOverIntensity,
  nextStep,
  NO_LIFE,
  nextVerdict,
  notReady,
  overIntensity,
  taking,
  unhealthyFor,
  working,
} from './policies/process-life.ts';
import type { RecoveryStep } from './policies/recovery-ladder.ts';

export const subject = ({ context }: { context: LifeContext }): LifeSubject => ({
  backendId: context.backendId,
  agentId: context.agentId,
  generation: context.generation,
});

/** Before the first life. */
export const beforeLife = ({ input }: { input: LifeInput }): LifeContext => ({
  ...input,
  ...NO_LIFE,
  ...input.carried,
  port: input.knownPort ?? null,
  streamGroups: [],
});

/** Types, actions, guards and delays of the charts of process lives; their states are in the `life-*`, `ladder-*`, `server-*`, `external-*` and `agent-*` files. */
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
    /** Learns how much the models can hold; without that, everything else works. */
    modelLimits: notProvided<LifeSubject>('modelLimits'),
    /** Writes down what is known of the failure. */
    captureDiagnostics: notProvided<StepInput>('captureDiagnostics'),
    /** Goes back to the last configuration that was proved to work. */
    rollbackConfig: notProvided<StepInput>('rollbackConfig'),
    /** Puts an empty configuration in the place of one that does not work, where the host agrees. */
    seedConfig: notProvided<StepInput>('seedConfig'),
    /** Nothing helped: the configuration is put back as it was. */
    restoreConfig: notProvided<StepInput>('restoreConfig'),
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
    /** Of a server that others run: what depends on the connection learns that it is over. */
    endLife: () => undefined,
    /** Where a rung of the ladder was taken: what became of it. */
    reportStep: (_, _params: { readonly outcome: 'healthy' | 'failed' }) => undefined,
    /** The configuration of this life has worked for long enough to go back to it. */
    reportProven: () => undefined,
    launch: spawnChild('process', { id: 'process', input: subject }),
    countLife: assign({
      generation: ({ context }) => context.generation + 1,
      pid: null,
      port: ({ context }) => context.knownPort ?? null,
      version: null,
      isRenewalWanted: false,
    }),
    stopProcess: sendTo('process', { type: 'process.stop' }),
    killProcess: sendTo('process', { type: 'process.kill' }),
    forgetProcess: stopChild('process'),
    clearProcess: assign({ pid: null, port: null }),
    checkNow: sendTo('health', { type: 'health.checkNow' }),
    notePort: assign((_, { port }: { readonly port: number }) => ({ port })),
    noteConfig: assign(({ context }, { configId }: { readonly configId: string | null }) =>
      configuredWith(context, configId),
    ),
    /** What a rung made of the configuration; the ladder goes on. */
    noteConfigOnTrial: assign((_, { configId }: { readonly configId?: string | null }) => ({
      isConfigOnTrial: true,
      ...(configId === undefined ? {} : { configId }),
    })),
    noteConfigRestored: assign((_, { configId }: { readonly configId?: string | null }) => ({
      isConfigOnTrial: false,
      ...(configId === undefined ? {} : { configId }),
    })),
    takeStep: assign(({ context }, { step }: { readonly step: RecoveryStep }) => taking(context, step)),
    clearStep: assign({ activeStep: null }),
    forgetLadder: assign({ attempted: [], activeStep: null }),
    wantRenewal: assign({ isRenewalWanted: true }),
    notePid: assign((_, { pid }: { readonly pid: number }) => ({ pid })),
    noteHealthy: assign((_, { at, version }: { readonly at: number; readonly version: string }) =>
      working(at, version),
    ),
    noteFailure: assign((_, { failure }: { readonly failure: Failure }) => failing(failure)),
    noteVersion: assign((_, { version }: { readonly version: string | null }) => ({ version })),
    noteOpen: assign(({ context }, { at }: { readonly at: number }) => working(at, context.version)),
    noteHandshakeTimeout: assign(({ context }) =>
      failing(notReady(context, context.handshakeTimeoutMs ?? context.readyTimeoutMs, `${context.label}: initialize`)),
    ),
    noteOpenTimeout: assign(({ context }) =>
      failing(notReady(context, context.openTimeoutMs ?? context.readyTimeoutMs, `${context.label}: session`)),
    ),
    noteReadyTimeout: assign(({ context }) => failing(notReady(context, context.readyTimeoutMs))),
    noteUnhealthy: assign(({ context }) => failing(unhealthyFor(context, 'threshold'))),
    noteGraceOver: assign(({ context }) => failing(unhealthyFor(context, 'grace'))),
    noteEnd: assign(({ context }, end: EndedLife) => ended(context, end)),
    noteIntendedEnd: assign(({ context }, end: EndedLife) => endedAsAsked(context, end)),
    noteDemand: assign((_, demand: { readonly turns: number; readonly waiters: number }) => demand),
    passCheck: assign({ failures: 0, checkFailure: null }),
    failCheck: assign(({ context }, { reason }: { readonly reason: string }) => ({
      failures: context.failures + 1,
      checkFailure: reason,
    })),
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
    /** This rung of the ladder is the next one. */
    isNext: ({ context }, { step }: { readonly step: RecoveryStep }) => nextStep(context) === step,
    /** A rung changed the configuration, and that did not help. */
    isConfigOnTrial: ({ context }) => context.isConfigOnTrial,
    /** It was restarted as often as it may be. */
    isOverIntensity: ({ context }) =>
      context.budget === 'full' && isRestartable(context.failure) && isOverIntensity(context),
    isFree: ({ context }) => context.turns === 0,
    isUnneeded: ({ context }) => context.turns + context.waiters === 0,
    isRenewalWanted: ({ context }) => context.isRenewalWanted,
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
    provenAfter: ({ context }) => context.recovery.provenAfterMs,
    stepLimit: ({ context }) => context.recovery.stepLimitMs,
    consentLimit: ({ context }) => context.recovery.consentLimitMs,
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

/** A restart is an answer to it, where the restart policy allows one. */
function isRestartable(failure: Failure | null): boolean {
  const failureClass = failure && classifyFailure(failure);
  return failureClass === 'transient' || failureClass === 'suspicious';
}
