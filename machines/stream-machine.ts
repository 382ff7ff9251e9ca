import { backoffDelay } from './policies/backoff.ts';
import type { Failure } from './policies/failure-class.ts';
import { type EndedConnection, setupStream, subject } from './stream-setup.ts';

const ended = ({ event }: { event: EndedConnection }): EndedConnection => ({
  productive: event.productive,
  failure: event.failure,
});
const unreconciled = ({ event }: { event: { readonly failure: Failure } }): EndedConnection => ({
  productive: false,
  failure: event.failure,
});

/** The way to a working connection: the same when starting and when reconnecting. */
const connecting = setupStream.createStateConfig({
  description: 'Waits for the response.',
  entry: ['disconnect', 'connect'],
  on: {
    'subscription.connected': { target: 'awaitingFirstEvent' },
    'subscription.opened': { target: 'reconciling' },
    'subscription.ended': { target: '#stream.recovering', actions: 'countEnd' },
    'subscription.failed': { target: '#stream.recovering', actions: { type: 'countFailure', params: ended } },
  },
  after: {
    firstEventLimit: {
      target: '#stream.recovering',
      actions: { type: 'countSilence', params: { silence: 'was not answered' } },
    },
  },
});

const awaitingFirstEvent = setupStream.createStateConfig({
  description: 'Connected; the greeting proves that events flow.',
  on: {
    'subscription.opened': { target: 'reconciling' },
    'subscription.ended': { target: '#stream.recovering', actions: 'countEnd' },
    'subscription.failed': { target: '#stream.recovering', actions: { type: 'countFailure', params: ended } },
  },
  after: {
    firstEventLimit: {
      target: '#stream.recovering',
      actions: { type: 'countSilence', params: { silence: 'delivered no event' } },
    },
  },
});

const reconciling = setupStream.createStateConfig({
  description: 'Events are held back while the server is asked what was missed.',
  invoke: { src: 'reconcile', id: 'reconcile', input: subject },
  on: {
    'reconcile.done': { target: '#stream.healthy', actions: 'release' },
    'reconcile.failed': { target: '#stream.recovering', actions: { type: 'countFailure', params: unreconciled } },
    'subscription.ended': { target: '#stream.recovering', actions: 'forgetFailures' },
    'subscription.failed': { target: '#stream.recovering', actions: { type: 'countFailure', params: ended } },
  },
  after: {
    reconcileLimit: {
      target: '#stream.recovering',
      actions: { type: 'countSilence', params: { silence: 'was open, but the server did not say what was missed' } },
    },
  },
});

/** One event stream: a connection to a server's events, with the sessions attached to it as records. */
export const streamMachine = setupStream.createMachine({
  id: 'stream',
  context: ({ input }) => ({ ...input, failures: 0, failure: null }),
  entry: 'announce',
  initial: 'idle',
  on: { 'stream.halt': { target: '.idle', actions: ['disconnect', 'forgetFailures'] } },
  states: {
    idle: {
      description: 'No connection is wanted, or the server is down: its next life starts the stream.',
      entry: ['detach', { type: 'reportState', params: { state: 'idle' } }],
      on: { 'stream.start': { target: 'starting' }, 'stream.halt': {} },
    },
    starting: {
      description: 'Connects for the first time in this life of the server.',
      entry: { type: 'reportState', params: { state: 'starting' } },
      initial: 'connecting',
      states: { connecting, awaitingFirstEvent, reconciling },
    },
    healthy: {
      description: 'Events flow to the turns.',
      entry: { type: 'reportState', params: { state: 'healthy' } },
      tags: 'available',
      initial: 'open',
      invoke: { src: 'stallWatch', id: 'stallWatch', input: subject },
      states: {
        open: {
          on: { 'stream.audit': { target: 'auditing' } },
          after: { auditInterval: { target: 'auditing' } },
        },
        auditing: {
          description: 'The server is asked about the running turns, in case their end was never told.',
          invoke: { src: 'reconcile', id: 'reconcile', input: subject },
          initial: 'asking',
          states: {
            asking: {
              on: {
                'stream.audit': { target: 'askedAgain' },
                'reconcile.done': { target: '#stream.healthy.open' },
                'reconcile.failed': { target: '#stream.healthy.open' },
              },
            },
            askedAgain: {
              description: 'Somebody asked after the answer may have been given: ask once more.',
              on: {
                'reconcile.done': { target: '#stream.healthy.auditing', reenter: true },
                'reconcile.failed': { target: '#stream.healthy.open' },
              },
            },
          },
          after: { reconcileLimit: { target: 'open' } },
        },
      },
      on: {
        'watch.stalled': { target: 'unhealthy', actions: { type: 'countFailure', params: ended } },
        'subscription.ended': { target: 'recovering', actions: 'forgetFailures' },
        'subscription.failed': { target: 'recovering', actions: { type: 'countFailure', params: ended } },
      },
    },
    unhealthy: {
      description: 'No byte came for longer than the heartbeat allows.',
      entry: { type: 'reportState', params: { state: 'unhealthy' } },
      tags: 'available',
      invoke: { src: 'stallWatch', id: 'stallWatch', input: subject },
      initial: 'stalled',
      states: { stalled: { after: { stallGrace: { target: '#stream.recovering' } } } },
      on: {
        'watch.revived': { target: 'healthy', actions: 'forgetFailures' },
        'subscription.ended': { target: 'recovering' },
        'subscription.failed': { target: 'recovering' },
      },
    },
    recovering: {
      description: 'The connection is lost; the next attempt follows the backoff.',
      entry: ['detach', { type: 'reportState', params: { state: 'recovering' } }],
      initial: 'closingGap',
      states: {
        closingGap: {
          description: 'Turns that ended while nobody listened are settled before the wait.',
          entry: 'disconnect',
          invoke: { src: 'reconcile', id: 'reconcile', input: subject },
          on: { 'reconcile.done': { target: 'judging' }, 'reconcile.failed': { target: 'judging' } },
          after: { reconcileLimit: { target: 'judging' } },
        },
        judging: {
          always: [{ target: '#stream.failed', guard: 'isBudgetUsedUp' }, { target: 'backingOff' }],
        },
        backingOff: {
          invoke: {
            src: 'backoff',
            id: 'backoff',
            input: ({ context }) => ({
              delayMs: backoffDelay(context.retry, context.failures),
              jitter: context.retry.jitter,
            }),
            onDone: { target: 'reconnecting' },
          },
        },
        reconnecting: {
          initial: 'connecting',
          states: { connecting, awaitingFirstEvent, reconciling },
        },
      },
    },
    failed: {
      description: 'Gave up. Quiet until a prompt or a new life of the server starts a fresh cycle.',
      entry: ['abandon', { type: 'reportState', params: { state: 'failed' } }],
      on: { 'stream.start': { target: 'starting', actions: 'forgetFailures' } },
    },
  },
});
