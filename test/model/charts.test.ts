import { fromCallback } from 'xstate';
import { describe, expect, it } from 'vitest';
import {
  agentMachine,
  backoffMachine,
  externalMachine,
  groupMachine,
  healthMachine,
  poolMachine,
  serverMachine,
  streamMachine,
  supervisorMachine,
  turnMachine,
} from '../../machines/index.ts';
import { checkExternal, checkLife, checkStream, checkSupervisor, checkTurn, children } from './chart-invariants.ts';
import { type ChartUnderTest, controlledChild, replayAllPaths, summary } from './chart-paths.ts';

/** A child that does nothing: the path says what it reports. */
const idle = fromCallback(() => undefined) as never;
const finishable = controlledChild as never;
const failure = { code: 'ERR_STREAM_FAILED', message: 'lost' };
const permanent = { code: 'ERR_VERSION_MISMATCH', message: 'old' };
const refusedConfig = { code: 'ERR_CONFIG_INVALID', message: 'broken' };
const exitedEarly = { code: 'ERR_EXITED_BEFORE_READY', reason: 'exit-code', message: 'gone' };
const transient = { code: 'ERR_BACKEND_EXITED', message: 'ended' };
const at = 0;

const restartOnly = ['restart'];
const ladder = ['restart', 'capture-diagnostics', 'rollback-config', 'seed-config'];

/** What a server and an agent are told, and what they tell. */
const commands = {
  'life.start': [{}],
  'life.stop': [{}],
  'life.restart': [{ reason: 'asked' }],
  'life.reload': [{}],
  'life.checkNow': [{}],
  'life.demandChanged': [
    { turns: 0, waiters: 0 },
    { turns: 1, waiters: 0 },
  ],
};
const facts = {
  'process.spawned': [{ at, pid: 1234 }],
  'process.ended': [
    { at, failure: transient, stderrTail: '' },
    { at, failure: permanent, stderrTail: 'said' },
  ],
  'health.passed': [{ at }],
  'health.failed': [{ at, reason: 'slow' }],
};

/** The ladder has a path of its own: without a configuration there is none. */
const noConfig = {
  'process.prepared': [{ at, port: 4096, configId: null }],
  'process.ended': facts['process.ended'],
  'verify.failed': [{ at, failure: permanent }],
  'step.done': [],
  'step.impossible': [],
};
/** Nobody asks for anything after the start. */
const noHost = {
  'life.restart': [],
  'life.reload': [],
  'life.reconfigured': [],
  'life.checkNow': [],
  'server.openStream': [],
  'server.closeStream': [],
  'group.childFailed': [],
};
/** Nobody uses the server, and no check fails. */
const quiet = {
  'life.demandChanged': [{ turns: 0, waiters: 1 }],
  'life.checkNow': [],
  'life.reconfigured': [],
  'health.passed': [],
  'health.failed': [],
  'server.openStream': [],
  'server.closeStream': [],
  'group.childFailed': [],
};

const charts: Record<string, ChartUnderTest> = {
  backoff: {
    machine: backoffMachine,
    inputs: [{ delayMs: 100, jitter: 'none' }],
    alphabet: { 'backoff.skip': [{}] },
    relevant: () => null,
    check: () => undefined,
  },
  health: {
    machine: healthMachine.provide({
      actors: { probe: idle },
      actions: { reportPassed: () => undefined, reportFailed: () => undefined },
    }),
    inputs: [{ backendId: 'code', agentId: null, intervalMs: 100, timeoutMs: 50 }],
    alphabet: { 'health.checkNow': [{}], 'probe.passed': [{ at }], 'probe.failed': [{ at, reason: 'slow' }] },
    relevant: () => null,
    check: (snapshot) => expect(children(snapshot)).toEqual(snapshot.matches('probing') ? ['probe'] : []),
  },
  group: {
    machine: groupMachine.provide({
      actors: { child: finishable },
      actions: { reportDone: () => undefined, reportFailed: () => undefined },
    }),
    alphabet: {
      'group.open': [{ childId: 'a', input: null }],
      'group.close': [{ childId: 'a' }, { childId: 'unknown' }],
      'group.tell': [{ childId: 'a', message: { type: 'hello' } }],
      'group.tellAll': [{ message: { type: 'hello' } }],
      'xstate.done.actor.*': [{ type: 'xstate.done.actor.a', actorId: 'a' }],
      'xstate.error.actor.*': [{ type: 'xstate.error.actor.a', actorId: 'a', error: 'broke' }],
    },
    relevant: ({ childIds }: { childIds: readonly string[] }) => childIds,
    check: (snapshot) => expect(children(snapshot)).toEqual(snapshot.context.childIds),
  },
  pool: {
    machine: poolMachine.provide({ actors: { group: idle } }),
    inputs: [{ backendId: 'goose' }],
    alphabet: {
      'pool.openAgent': [{ groupId: 'agents-0', agentId: 'agent-0', input: null }],
      'pool.closeAgent': [
        { groupId: 'agents-0', agentId: 'agent-0' },
        { groupId: 'unknown', agentId: 'agent-9' },
      ],
      'life.*': [{ type: 'life.stop' }, { type: 'life.start', place: { groupId: 'agents-0', agentId: 'agent-0' } }],
      'group.childFailed': [{ childId: 'agent-0', error: 'broke' }],
    },
    relevant: ({ agentGroups }: { agentGroups: readonly string[] }) => agentGroups,
    check: (snapshot) => expect(children(snapshot)).toEqual(snapshot.context.agentGroups),
  },
  stream: {
    machine: streamMachine.provide({
      actors: { subscription: idle, reconcile: idle, stallWatch: idle, backoff: finishable },
    }),
    inputs: [
      {
        backendId: 'code',
        streamId: 'stream-0',
        firstEventMs: 10_000,
        reconcileTimeoutMs: 9_000,
        stallGraceMs: 1_000,
        auditIntervalMs: 30_000,
        retry: { baseMs: 1_000, maxMs: 30_000, factor: 2, jitter: 'none', maxAttempts: 2 },
      },
    ],
    alphabet: {
      'stream.start': [{}],
      'stream.halt': [{}],
      'stream.audit': [{}],
      'subscription.connected': [{ at }],
      'subscription.opened': [{ at }],
      'subscription.ended': [{ at, productive: true }],
      'subscription.failed': [
        { at, productive: true, failure },
        { at, productive: false, failure },
      ],
      'reconcile.done': [{ at }],
      'reconcile.failed': [{ at, failure }],
      'watch.stalled': [{ at, productive: true, failure }],
      'watch.revived': [{ at }],
    },
    relevant: ({ failures }: { failures: number }) => failures,
    check: checkStream,
  },
  server: {
    machine: serverMachine.provide({
      actors: {
        process: idle,
        verify: idle,
        modelLimits: idle,
        captureDiagnostics: idle,
        rollbackConfig: idle,
        seedConfig: idle,
        restoreConfig: idle,
        health: idle,
        backoff: finishable,
        group: idle,
      },
    }),
    inputs: [lifeInput(2, restartOnly), lifeInput(1, restartOnly), lifeInput(1, ladder, 3)],
    unlikely: { 0: noConfig, 1: { ...noConfig, ...noHost }, 2: quiet },
    alphabet: {
      ...commands,
      ...facts,
      'process.ended': [...facts['process.ended'], { at, failure: exitedEarly, stderrTail: '' }],
      'life.reconfigured': [{ configId: 'b' }],
      'step.done': [{ at, message: 'done', configId: 'good' }],
      'step.impossible': [{ at, message: 'no' }],
      'server.openStream': [{ groupId: 'streams-0', streamId: 'stream-0', input: null }],
      'server.closeStream': [
        { groupId: 'streams-0', streamId: 'stream-0' },
        { groupId: 'unknown', streamId: 'stream-9' },
      ],
      'process.prepared': [{ at, port: 4096, configId: 'a' }],
      'process.listening': [{ at, port: 4096 }],
      'verify.passed': [{ at, version: '1.0.0' }],
      'verify.failed': [
        { at, failure: permanent },
        { at, failure: refusedConfig },
      ],
      'group.childFailed': [{ childId: 'stream-0', error: 'broke' }],
    },
    relevant: lifeGuards,
    check: checkLife,
    limit: 400_000,
  },
  external: {
    machine: externalMachine.provide({ actors: { verify: idle, modelLimits: idle, health: idle, group: idle } }),
    inputs: [
      { ...lifeInput(2, []), mode: 'external' },
      { ...lifeInput(1, []), mode: 'external' },
    ],
    alphabet: {
      ...commands,
      'life.unreachable': [{ reason: 'no answer' }],
      'health.passed': facts['health.passed'],
      'health.failed': facts['health.failed'],
      'server.openStream': [{ groupId: 'streams-0', streamId: 'stream-0', input: null }],
      'server.closeStream': [{ groupId: 'streams-0', streamId: 'stream-0' }],
      'verify.passed': [{ at, version: '1.0.0' }],
      'verify.failed': [{ at, failure: permanent }],
      'group.childFailed': [{ childId: 'stream-0', error: 'broke' }],
    },
    relevant: lifeGuards,
    check: checkExternal,
  },
  agent: {
    machine: agentMachine.provide({
      actors: { process: idle, handshake: idle, openSessions: idle, health: idle, backoff: finishable },
    }),
    inputs: [
      { ...lifeInput(2, restartOnly), agentId: 'agent-0', handshakeTimeoutMs: 14_000, openTimeoutMs: 15_000 },
      { ...lifeInput(1, restartOnly), agentId: 'agent-0', handshakeTimeoutMs: 14_000, openTimeoutMs: 15_000 },
    ],
    alphabet: {
      ...commands,
      ...facts,
      'handshake.done': [{ at, version: '1.0.0' }],
      'handshake.failed': [{ at, failure: permanent }],
      'sessions.opened': [{ at }],
      'sessions.failed': [{ at, failure: permanent }],
    },
    relevant: lifeGuards,
    check: checkLife,
    limit: 60_000,
  },
  turn: {
    machine: turnMachine.provide({
      actors: { quieter: idle, dispatch: idle, auditor: idle, canceller: idle, inactivityClock: idle },
    }),
    inputs: [{ turnId: 'turn-1', inactivityTimeoutMs: 300_000, deadlineMs: 3_600_000, cancelTimeoutMs: 15_000 }],
    alphabet: {
      'turn.admit': [{ at }],
      'turn.cancel': [{}],
      'turn.abandon': [{ at, failure }],
      'turn.began': [{ at }],
      'turn.assessed': [
        { at, assessment: { kind: 'completed', stopReason: 'end_turn' } },
        { at, assessment: { kind: 'failed', failure } },
        { at, assessment: { kind: 'interrupted' } },
        { at, assessment: { kind: 'unproven' } },
        { at, assessment: { kind: 'doubtful' } },
        { at, assessment: { kind: 'lost' } },
      ],
      'dispatch.accepted': [{ at }],
      'dispatch.refused': [{ at, failure }],
      'dispatch.unsent': [{ at, failure }],
      'dispatch.unknown': [{ at, failure }],
      'session.quiet': [{ at }],
      'backend.available': [{ at }],
      'backend.lost': [{ at }],
      'backend.exited': [{ at }],
      'backend.failed': [{ at, failure }],
      'decision.asked': [{ at }],
      'decision.closed': [{ at }],
      'clock.inactive': [{ at }],
    },
    relevant: ({ pendingDecisions, dispatches }: { pendingDecisions: number; dispatches: number }) => [
      Math.min(pendingDecisions, 2),
      dispatches,
    ],
    check: checkTurn,
    limit: 60_000,
  },
  supervisor: {
    machine: supervisorMachine.provide({ actors: { server: idle, external: idle, pool: idle, group: idle } }),
    inputs: [
      {
        backends: { code: { mode: 'managed' }, far: 'pool' },
        intensity: { maxRestarts: 1, windowMs: 1_000 },
        cancelLimitMs: 16_000,
      },
    ],
    alphabet: {
      'supervisor.stop': [{ graceMs: 5_000 }],
      'supervisor.openTurn': [{ groupId: 'turns-0', childId: 'turn-0', input: null }],
      'backend.command': [
        { backendId: 'code', command: { type: 'life.start' } },
        { backendId: 'unknown', command: { type: 'life.start' } },
        { backendId: 'code', command: { type: 'life.checkNow' } },
      ],
      'backend.stateChanged': [
        { backendId: 'code', state: 'starting' },
        { backendId: 'code', state: 'idle' },
        { backendId: 'far', state: 'starting' },
      ],
      'backend.crashed': [{ at, backendId: 'code' }],
      'group.childDone': [{ childId: 'turn-0' }],
      'group.childFailed': [{ childId: 'turn-0', error: 'broke' }],
      'xstate.error.actor.*': [{ type: 'xstate.error.actor.backend:code', actorId: 'backend:code', error: 'broke' }],
    },
    relevant: ({ turns, startOrder, states, crashes, abandoned }: SupervisorGuards) => [
      Math.min(turns, 1),
      startOrder.filter((id) => states[id] !== 'idle'),
      Object.keys(crashes).length,
      abandoned,
    ],
    check: checkSupervisor,
  },
};

function lifeInput(failureThreshold: number, steps: readonly string[], maxRestarts = 1): object {
  return {
    backendId: 'code',
    agentId: null,
    label: 'a server',
    readyTimeoutMs: 30_000,
    stopLimitMs: 8_000,
    startAttempts: 1,
    mode: 'managed',
    recovery: {
      steps,
      provenAfterMs: 61_000,
      stepLimitMs: 11_000,
      consentLimitMs: 300_000,
    },
    health: { intervalMs: 10_000, timeoutMs: 5_000, failureThreshold, busyGraceMs: 120_000 },
    restart: {
      when: 'needed',
      maxRestarts,
      windowMs: 180_000,
      backoff: { baseMs: 500, maxMs: 30_000, factor: 2, jitter: 'none' },
      resetAfterMs: 60_000,
    },
  };
}

interface LifeGuards {
  readonly failures: number;
  readonly turns: number;
  readonly budget: string;
  readonly restartHistory: readonly number[];
  readonly failure: { readonly code: string } | null;
  readonly attempted: readonly string[];
  readonly isConfigOnTrial: boolean;
  readonly isRenewalWanted: boolean;
}

interface SupervisorGuards {
  readonly turns: number;
  readonly startOrder: readonly string[];
  readonly states: Readonly<Record<string, string>>;
  readonly crashes: object;
  readonly abandoned: readonly string[];
}

/** Where nothing is wrong, how far the ladder was climbed before is of no interest. */
function lifeGuards(context: LifeGuards, state: string) {
  const {
    failures,
    turns,
    budget,
    restartHistory,
    failure: why,
    attempted,
    isConfigOnTrial,
    isRenewalWanted,
  } = context;
  const isClimbing = state === 'recovering' || (budget === 'one-attempt' && state !== 'healthy');
  const ladder = isClimbing ? [attempted, isConfigOnTrial] : [];
  return [Math.min(failures, 2), turns, budget, restartHistory.length, why?.code, isRenewalWanted, ...ladder];
}

describe('generated paths through each chart, replayed on a real actor in virtual time', () => {
  it.each(Object.entries(charts))('take every state and every transition of %s', (name, chart) => {
    const report = replayAllPaths(chart);
    console.info(summary(name, report));
    expect({ states: report.states.missing, transitions: report.transitions.missing }).toEqual({
      states: [],
      transitions: [],
    });
  });
});
