import { serverBoot } from './server-boot.ts';
import { restartDelay } from './policies/restart-policy.ts';
import { type ServerContext, type ServerEvent, setupServer } from './server-setup.ts';

type EventOf<T extends ServerEvent['type']> = Extract<ServerEvent, { type: T }>;
const life = ({ event }: { event: EventOf<'process.ended'> }) => ({
  at: event.at,
  failure: event.failure,
  stderrTail: event.stderrTail,
});
const demand = ({ event }: { event: EventOf<'server.demandChanged'> }) => ({
  turns: event.turns,
  waiters: event.waiters,
});
const healthInput = ({ context }: { context: ServerContext }) => ({
  backendId: context.backendId,
  intervalMs: context.health.intervalMs,
  timeoutMs: context.health.timeoutMs,
});
const backoffInput = ({ context }: { context: ServerContext }) => ({
  delayMs: restartDelay(context.restart, context),
  jitter: context.restart.backoff.jitter,
});

/** The process ended where nobody asked it to. */
const whenEnded = {
  'process.ended': {
    target: '#server.recovering.judging',
    actions: [{ type: 'noteEnd', params: life }, 'forgetProcess', 'clearProcess'],
  },
} as const;

/** What ends a life that works, in whichever of the two states. */
const whenUp = {
  'process.ended': [
    { ...whenEnded['process.ended'], guard: 'isWanted' },
    { ...whenEnded['process.ended'], target: '#server.idle' },
  ],
  'server.checkNow': { actions: 'checkNow' },
  'server.restart': { target: '#server.recovering', actions: 'forgetFailure' },
  'server.stop': { target: '#server.stopping' },
} as const;

/** One server and its process lives. */
export const serverMachine = setupServer.createMachine({
  id: 'server',
  context: ({ input }) => ({
    ...input,
    generation: 0,
    pid: null,
    port: null,
    version: null,
    restarts: 0,
    restartHistory: [],
    attempt: 0,
    budget: 'full',
    healthySince: null,
    healthyForMs: 0,
    endedAt: 0,
    failures: 0,
    turns: 0,
    waiters: 0,
    failure: null,
    lastFailure: null,
    streamGroups: [],
  }),
  entry: 'announce',
  initial: 'idle',
  on: {
    'server.demandChanged': { actions: { type: 'noteDemand', params: demand } },
    'server.openStream': {
      actions: {
        type: 'openStream',
        params: ({ event }) => ({ groupId: event.groupId, streamId: event.streamId, input: event.input }),
      },
    },
    'server.closeStream': {
      actions: {
        type: 'closeStream',
        params: ({ event }) => ({ groupId: event.groupId, streamId: event.streamId }),
      },
    },
    'group.childFailed': {
      actions: {
        type: 'reportStreamCrash',
        params: ({ event }) => ({ streamId: event.childId, error: event.error }),
      },
    },
  },
  states: {
    idle: {
      description: 'Nothing runs, nothing is wanted.',
      entry: [
        { type: 'tellStreams', params: { message: { type: 'stream.halt' } } },
        { type: 'reportState', params: { state: 'idle' } },
      ],
      on: {
        'server.start': { target: 'starting', actions: 'grantBudget' },
        'server.restart': { target: 'starting', actions: 'grantBudget' },
      },
    },
    starting: {
      description: 'Works towards a proven server, within the ready timeout.',
      entry: ['forgetFailure', 'countLife', 'launch', { type: 'reportState', params: { state: 'starting' } }],
      initial: 'preparing',
      states: serverBoot,
      on: { ...whenEnded, 'server.stop': { target: 'stopping' } },
      after: { readyTimeout: { target: 'recovering', actions: 'noteReadyTimeout' } },
    },
    healthy: {
      description: 'Proved to work; turns are admitted.',
      tags: 'available',
      entry: [
        { type: 'reportState', params: { state: 'healthy' } },
        { type: 'tellStreams', params: { message: { type: 'stream.start' } } },
      ],
      invoke: { src: 'health', id: 'health', input: healthInput },
      on: {
        'health.failed': [
          { target: 'recovering', guard: 'isFailedForGood', actions: ['failCheck', 'noteUnhealthy'] },
          { target: 'unhealthy.graced', guard: 'isBusy', actions: 'failCheck' },
          { target: 'unhealthy', actions: 'failCheck' },
        ],
        ...whenUp,
      },
      after: { resetAfter: { actions: 'resetBackoff' } },
    },
    unhealthy: {
      description: 'Some checks failed. Running turns go on while the count or the busy grace runs.',
      tags: 'available',
      entry: { type: 'reportState', params: { state: 'unhealthy' } },
      invoke: { src: 'health', id: 'health', input: healthInput },
      initial: 'counting',
      states: {
        counting: {
          description: 'No turn runs: the threshold decides.',
          on: {
            'server.demandChanged': [
              {
                guard: { type: 'hasTurns', params: demand },
                target: 'graced',
                actions: { type: 'noteDemand', params: demand },
              },
              { actions: { type: 'noteDemand', params: demand } },
            ],
          },
        },
        graced: {
          description: 'A turn runs: the busy grace decides.',
          on: {
            'server.demandChanged': [
              {
                guard: { type: 'hasTurns', params: demand },
                actions: { type: 'noteDemand', params: demand },
              },
              {
                guard: 'isUsedUp',
                target: '#server.recovering',
                actions: [{ type: 'noteDemand', params: demand }, 'noteUnhealthy'],
              },
              { target: 'counting', actions: { type: 'noteDemand', params: demand } },
            ],
          },
          after: { busyGrace: { target: '#server.recovering', actions: 'noteUnhealthy' } },
        },
      },
      on: {
        'health.passed': { target: 'healthy', actions: 'passCheck' },
        'health.failed': [
          { target: 'recovering', guard: 'isFailedForGood', actions: ['failCheck', 'noteUnhealthy'] },
          { actions: 'failCheck' },
        ],
        ...whenUp,
      },
    },
    recovering: {
      description: 'The last life is over or is being ended; the next one follows the restart policy.',
      entry: [
        { type: 'tellStreams', params: { message: { type: 'stream.halt' } } },
        { type: 'reportState', params: { state: 'recovering' } },
      ],
      initial: 'stopping',
      states: {
        stopping: {
          description: 'The old process is ended before anything is told or started.',
          entry: 'stopProcess',
          on: {
            'process.ended': [
              {
                target: 'judging',
                guard: 'isIntended',
                actions: [{ type: 'noteIntendedEnd', params: life }, 'forgetProcess', 'clearProcess'],
              },
              whenEnded['process.ended'],
            ],
            'server.restart': { actions: 'forgetFailure' },
            'server.stop': { target: '#server.stopping' },
          },
          after: { stopLimit: { target: 'judging', actions: ['forgetProcess', 'clearProcess'] } },
        },
        judging: {
          description: 'One kind of failure, one answer.',
          always: [
            { target: 'restarting', guard: 'isIntended', actions: 'countAskedRestart' },
            { target: '#server.failed', guard: 'isPermanent' },
            { target: '#server.failed', guard: 'isOnlyAttempt' },
            { target: '#server.failed', guard: 'isOverIntensity', actions: 'noteRestartLimit' },
            { target: 'backingOff', actions: 'countRestart' },
          ],
        },
        backingOff: {
          invoke: { src: 'backoff', id: 'backoff', input: backoffInput, onDone: { target: 'restarting' } },
          on: { 'server.stop': { target: '#server.idle' }, 'server.restart': { target: 'restarting' } },
        },
        restarting: {
          description: 'The next life, on the same way as the first.',
          entry: ['forgetFailure', 'countLife', 'launch'],
          initial: 'preparing',
          states: serverBoot,
          on: { ...whenEnded, 'server.stop': { target: '#server.stopping' } },
          after: { readyTimeout: { target: 'stopping', actions: 'noteReadyTimeout' } },
        },
      },
    },
    failed: {
      description: 'Gave up, with a reason. Quiet until an explicit start or restart.',
      entry: { type: 'reportState', params: { state: 'failed' } },
      on: {
        'server.start': { target: 'starting', actions: 'grantOneAttempt' },
        'server.restart': { target: 'starting', actions: 'grantOneAttempt' },
        'server.stop': { target: 'idle' },
      },
    },
    stopping: {
      description: 'A stop was asked for. Ends when the process is gone; asking again escalates.',
      entry: [
        { type: 'tellStreams', params: { message: { type: 'stream.halt' } } },
        'forgetFailure',
        'stopProcess',
        { type: 'reportState', params: { state: 'stopping' } },
      ],
      initial: 'thenIdle',
      states: {
        thenIdle: {
          on: {
            'process.ended': {
              target: '#server.idle',
              actions: [{ type: 'noteIntendedEnd', params: life }, 'forgetProcess', 'clearProcess'],
            },
            'server.stop': { actions: 'killProcess' },
            'server.start': { target: 'thenStart' },
            'server.restart': { target: 'thenStart' },
          },
          after: { stopLimit: { target: '#server.idle', actions: ['forgetProcess', 'clearProcess'] } },
        },
        thenStart: {
          description: 'Asked to start again while stopping: nothing is lost.',
          on: {
            'process.ended': {
              target: '#server.starting',
              actions: [{ type: 'noteIntendedEnd', params: life }, 'forgetProcess', 'clearProcess', 'grantBudget'],
            },
            'server.stop': { target: 'thenIdle', actions: 'killProcess' },
          },
          after: {
            stopLimit: { target: '#server.starting', actions: ['forgetProcess', 'clearProcess', 'grantBudget'] },
          },
        },
      },
    },
  },
});
