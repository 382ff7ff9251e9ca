import { fromCallback } from 'xstate';
import { expect } from 'vitest';
import {
  backoffMachine,
  groupMachine,
  healthMachine,
  poolMachine,
  streamMachine,
  supervisorMachine,
  turnMachine,
} from '../../machines/index.ts';
import { checkStream, checkSupervisor, checkTurn, children } from './chart-invariants.ts';
import { type ChartUnderTest, controlledChild } from './chart-paths.ts';
import { takeEverything } from './take-everything.ts';

/** A child that does nothing: the path says what it reports. */
const idle = fromCallback(() => undefined) as never;
const finishable = controlledChild as never;
const failure = { code: 'ERR_STREAM_FAILED', message: 'lost' };
const at = 0;

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

interface SupervisorGuards {
  readonly turns: number;
  readonly startOrder: readonly string[];
  readonly states: Readonly<Record<string, string>>;
  readonly crashes: object;
  readonly abandoned: readonly string[];
}

takeEverything(charts);
