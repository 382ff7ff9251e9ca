import { restartDelay } from './policies/restart-policy.ts';
import { type LifeCommand, type LifeContext, setupLife } from './life-setup.ts';
import type { Failure } from './policies/failure-class.ts';

/** Whatever carries turns hears of it: what depends on the process is told to rest, or to begin. */
type Announcement = { readonly type: 'tellStreams'; readonly params: { readonly message: { readonly type: string } } };

const life = ({ event }: { event: { at: number; failure: Failure; stderrTail: string } }) => ({
  at: event.at,
  failure: event.failure,
  stderrTail: event.stderrTail,
});
export const demand = ({ event }: { event: Extract<LifeCommand, { type: 'life.demandChanged' }> }) => ({
  turns: event.turns,
  waiters: event.waiters,
});
const healthInput = ({ context }: { context: LifeContext }) => ({
  backendId: context.backendId,
  agentId: context.agentId,
  intervalMs: context.health.intervalMs,
  timeoutMs: context.health.timeoutMs,
});
const backoffInput = ({ context }: { context: LifeContext }) => ({
  delayMs: restartDelay(context.restart, context),
  jitter: context.restart.backoff.jitter,
});

/** The process ended where nobody asked it to. */
export const whenEnded = {
  'process.ended': {
    target: '#judging',
    actions: [{ type: 'noteEnd', params: life }, 'forgetProcess', 'clearProcess'],
  },
} as const;

/** What ends a life that works, in whichever of the two states. */
export const whenUp = {
  'process.ended': [
    { ...whenEnded['process.ended'], guard: 'isWanted' },
    { ...whenEnded['process.ended'], target: '#idle' },
  ],
  'life.checkNow': { actions: 'checkNow' },
  'life.restart': { target: '#recovering', actions: 'forgetFailure' },
  'life.stop': { target: '#stopping' },
} as const;

/** A failed check of a life that seemed to work. */
export const whenCheckFails = {
  'health.failed': [
    { target: '#recovering', guard: 'isFailedForGood', actions: ['failCheck', 'noteUnhealthy'] },
    { target: '#graced', guard: 'isBusy', actions: 'failCheck' },
    { target: '#unhealthy', actions: 'failCheck' },
  ],
} as const;

/** Asked for while a process boots: it may have read what the caller has changed since, so another one replaces it. */
export const replaceable = { 'life.restart': { target: '#recovering', actions: 'forgetFailure' } } as const;

export const health = { src: 'health', id: 'health', input: healthInput } as const;

type Rest = readonly Announcement[];
type Boot = Parameters<typeof setupLife.createStateConfig>[0]['states'];

export const idle = (rest: Rest) =>
  setupLife.createStateConfig({
    id: 'idle',
    description: 'Nothing runs, nothing is wanted.',
    entry: [...rest, { type: 'reportState', params: { state: 'idle' } }],
    on: {
      'life.start': { target: '#starting', actions: 'grantBudget' },
      'life.restart': { target: '#starting', actions: 'grantBudget' },
    },
  });

export const starting = (boot: Boot, initial: string) =>
  setupLife.createStateConfig({
    id: 'starting',
    description: 'Works towards a life that is proved to work, within the ready timeout.',
    entry: ['forgetFailure', 'countLife', 'launch', { type: 'reportState', params: { state: 'starting' } }],
    initial,
    states: boot,
    on: { ...whenEnded, 'life.stop': { target: '#stopping' } },
    after: { readyTimeout: { target: '#recovering', actions: 'noteReadyTimeout' } },
  });

export const unhealthy = setupLife.createStateConfig({
  id: 'unhealthy',
  description: 'Some checks failed. Running turns go on while the count or the busy grace runs.',
  tags: 'available',
  entry: { type: 'reportState', params: { state: 'unhealthy' } },
  invoke: health,
  initial: 'counting',
  states: {
    counting: {
      description: 'No turn runs: the threshold decides.',
      on: {
        'life.demandChanged': [
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
      id: 'graced',
      description: 'A turn runs: the busy grace decides.',
      on: {
        'life.demandChanged': [
          { guard: { type: 'hasTurns', params: demand }, actions: { type: 'noteDemand', params: demand } },
          {
            guard: 'isUsedUp',
            target: '#recovering',
            actions: [{ type: 'noteDemand', params: demand }, 'noteUnhealthy'],
          },
          { target: 'counting', actions: { type: 'noteDemand', params: demand } },
        ],
      },
      after: { busyGrace: { target: '#recovering', actions: 'noteUnhealthy' } },
    },
  },
  on: {
    'health.passed': { target: '#healthy', actions: 'passCheck' },
    'health.failed': [
      { target: '#recovering', guard: 'isFailedForGood', actions: ['failCheck', 'noteUnhealthy'] },
      { actions: 'failCheck' },
    ],
    ...whenUp,
  },
});

export const recovering = (rest: Rest, boot: Boot, initial: string) =>
  setupLife.createStateConfig({
    id: 'recovering',
    description: 'The last life is over or is being ended; the next one follows the restart policy.',
    entry: [...rest, { type: 'reportState', params: { state: 'recovering' } }],
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
          'life.restart': { actions: 'forgetFailure' },
          'life.stop': { target: '#stopping' },
        },
        after: { stopLimit: { target: 'judging', actions: ['forgetProcess', 'clearProcess'] } },
      },
      judging: {
        id: 'judging',
        description: 'One kind of failure, one answer.',
        always: [
          { target: 'restarting', guard: 'isIntended', actions: 'countAskedRestart' },
          { target: '#failed', guard: 'isPermanent' },
          { target: '#failed', guard: 'isOnlyAttempt' },
          { target: '#failed', guard: 'isOverIntensity', actions: 'noteRestartLimit' },
          { target: 'backingOff', actions: 'countRestart' },
        ],
      },
      backingOff: {
        invoke: { src: 'backoff', id: 'backoff', input: backoffInput, onDone: { target: 'restarting' } },
        on: { 'life.stop': { target: '#idle' }, 'life.restart': { target: 'restarting' } },
      },
      restarting: {
        description: 'The next life, on the same way as the first.',
        entry: ['forgetFailure', 'countLife', 'launch'],
        initial,
        states: boot,
        on: { ...whenEnded, 'life.stop': { target: '#stopping' } },
        after: { readyTimeout: { target: 'stopping', actions: 'noteReadyTimeout' } },
      },
    },
  });

export const failed = setupLife.createStateConfig({
  id: 'failed',
  description: 'Gave up, with a reason. Quiet until an explicit start or restart.',
  entry: { type: 'reportState', params: { state: 'failed' } },
  on: {
    'life.start': { target: '#starting', actions: 'grantOneAttempt' },
    'life.restart': { target: '#starting', actions: 'grantOneAttempt' },
    'life.stop': { target: '#idle' },
  },
});

export const stopping = (rest: Rest) =>
  setupLife.createStateConfig({
    id: 'stopping',
    description: 'A stop was asked for. Ends when the process is gone; asking again escalates.',
    entry: [...rest, 'forgetFailure', 'stopProcess', { type: 'reportState', params: { state: 'stopping' } }],
    initial: 'thenIdle',
    states: {
      thenIdle: {
        on: {
          'process.ended': {
            target: '#idle',
            actions: [{ type: 'noteIntendedEnd', params: life }, 'forgetProcess', 'clearProcess'],
          },
          'life.stop': { actions: 'killProcess' },
          'life.start': { target: 'thenStart' },
          'life.restart': { target: 'thenStart' },
        },
        after: { stopLimit: { target: '#idle', actions: ['forgetProcess', 'clearProcess'] } },
      },
      thenStart: {
        description: 'Asked to start again while stopping: nothing is lost.',
        on: {
          'process.ended': {
            target: '#starting',
            actions: [{ type: 'noteIntendedEnd', params: life }, 'forgetProcess', 'clearProcess', 'grantBudget'],
          },
          'life.stop': { target: 'thenIdle', actions: 'killProcess' },
        },
        after: { stopLimit: { target: '#starting', actions: ['forgetProcess', 'clearProcess', 'grantBudget'] } },
      },
    },
  });
