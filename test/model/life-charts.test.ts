import { fromCallback } from 'xstate';
import { agentMachine, externalMachine, serverMachine } from '../../machines/index.ts';
import { checkExternal, checkLife } from './chart-invariants.ts';
import { type ChartUnderTest, controlledChild } from './chart-paths.ts';
import { takeEverything } from './take-everything.ts';

/** A child that does nothing: the path says what it reports. */
const idle = fromCallback(() => undefined) as never;
const finishable = controlledChild as never;
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
  'life.woke': [{}],
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
  'life.woke': [],
  'server.openStream': [],
  'server.closeStream': [],
  'group.childFailed': [],
};
/** Nobody uses the server, and no check fails. */
const quiet = {
  'life.demandChanged': [{ turns: 0, waiters: 1 }],
  'life.checkNow': [],
  'life.woke': [],
  'life.reconfigured': [],
  'health.passed': [],
  'health.failed': [],
  'server.openStream': [],
  'server.closeStream': [],
  'group.childFailed': [],
};

const charts: Record<string, ChartUnderTest> = {
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
      'process.prepared': [
        { at, port: 4096, configId: 'a' },
        { at, port: 4096, configId: 'good' },
      ],
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
    unlikely: { 1: { 'life.restart': [], 'life.reload': [], 'life.checkNow': [], 'life.woke': [] } },
    alphabet: {
      ...commands,
      ...facts,
      'handshake.done': [{ at, version: '1.0.0' }],
      'handshake.failed': [{ at, failure: permanent }],
      'sessions.opened': [{ at }],
      'sessions.failed': [{ at, failure: permanent }],
      'life.evict': [{ reason: 'its place is wanted' }],
      'life.demandChanged': [...commands['life.demandChanged'], { turns: 0, waiters: 1 }],
    },
    relevant: lifeGuards,
    check: checkLife,
    limit: 60_000,
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
  readonly agentId: string | null;
  readonly failures: number;
  readonly turns: number;
  readonly waiters: number;
  readonly budget: string;
  readonly restartHistory: readonly number[];
  readonly failure: { readonly code: string } | null;
  readonly attempted: readonly string[];
  readonly isConfigOnTrial: boolean;
  readonly isRenewalWanted: boolean;
}

/** Where nothing is wrong, how far the ladder was climbed before is of no interest. */
function lifeGuards(context: LifeGuards, state: string) {
  const {
    agentId,
    failures,
    turns,
    waiters,
    budget,
    restartHistory,
    failure: why,
    attempted,
    isConfigOnTrial,
    isRenewalWanted,
  } = context;
  const isClimbing = state === 'recovering' || (budget === 'one-attempt' && state !== 'healthy');
  const ladder = isClimbing ? [attempted, isConfigOnTrial] : [];
  const needed = [turns, agentId === null || state !== 'healthy' ? 0 : waiters];
  return [Math.min(failures, 2), ...needed, budget, restartHistory.length, why?.code, isRenewalWanted, ...ladder];
}

takeEverything(charts);
