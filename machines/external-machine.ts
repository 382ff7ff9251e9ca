import { beforeLife, setupLife, subject } from './life-setup.ts';
import { health, idle, unhealthy } from './life-states.ts';
import { failCheck, whenCheckFails } from './life-transitions.ts';
import { rest, streams, whenHealthy } from './server-states.ts';

/** A connection that is up: asked to begin anew, or to end. */
const whenUp = {
  'life.checkNow': { actions: 'checkNow' },
  'life.woke': { actions: 'checkNow' },
  'life.restart': { target: '#starting', actions: 'endLife' },
  'life.stop': { target: '#idle', actions: 'endLife' },
  'life.unreachable': { target: '#failed', actions: [failCheck, 'noteUnhealthy'] },
} as const;

/** A server that somebody else runs: connected to and asked, never started, never signalled, never ended. */
export const externalMachine = setupLife.createMachine({
  id: 'external',
  context: beforeLife,
  entry: 'announce',
  initial: 'idle',
  on: streams,
  states: {
    idle: idle(rest),
    starting: {
      id: 'starting',
      description: 'Learns whether the server is there, takes our password and has an accepted version.',
      entry: [...rest, 'forgetFailure', 'countLife', { type: 'reportState', params: { state: 'starting' } }],
      invoke: { src: 'verify', id: 'verify', input: subject },
      on: {
        'verify.passed': {
          target: 'healthy',
          actions: { type: 'noteHealthy', params: ({ event }) => ({ at: event.at, version: event.version }) },
        },
        'verify.failed': {
          target: 'failed',
          actions: { type: 'noteFailure', params: ({ event }) => ({ failure: event.failure }) },
        },
        'life.restart': { target: 'starting', reenter: true },
        'life.stop': { target: 'idle' },
      },
      after: { readyTimeout: { target: 'failed', actions: 'noteReadyTimeout' } },
    },
    healthy: {
      id: 'healthy',
      description: 'Proved to work; turns are admitted.',
      tags: 'available',
      entry: whenHealthy,
      invoke: [health, { src: 'modelLimits', id: 'modelLimits', input: subject }],
      on: { ...whenCheckFails('#failed'), ...whenUp },
    },
    unhealthy: unhealthy('#failed', whenUp),
    failed: {
      id: 'failed',
      description: 'It was not there, or did not answer. Quiet until an explicit restart: who runs it knows when.',
      entry: ['endLife', ...rest, { type: 'reportState', params: { state: 'failed' } }],
      on: { 'life.restart': { target: 'starting', actions: 'grantBudget' }, 'life.stop': { target: 'idle' } },
    },
  },
});
