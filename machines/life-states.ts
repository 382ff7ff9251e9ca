import { restartDelay } from './policies/restart-policy.ts';
import { setupLife } from './life-setup.ts';
import { demand, lifeOf, whenCheckFailsAgain, whenEnded, whenWokenUnhealthy } from './life-transitions.ts';
import type { LifeContext } from './life-types.ts';

/** Whatever carries turns hears of it: what depends on the process is told to rest, or to begin. */
type Announcement = { readonly type: 'tellStreams'; readonly params: { readonly message: { readonly type: string } } };

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

export const health = { src: 'health', id: 'health', input: healthInput } as const;

export type Rest = readonly Announcement[];
type States = NonNullable<Parameters<typeof setupLife.createStateConfig>[0]['states']>;

export const idle = (rest: Rest) =>
  setupLife.createStateConfig({
    id: 'idle',
    description: 'Nothing runs, nothing is wanted.',
    entry: [...rest, 'forgetLadder', { type: 'reportState', params: { state: 'idle' } }],
    on: {
      'life.start': { target: '#starting', actions: 'grantBudget' },
      'life.restart': { target: '#starting', actions: 'grantBudget' },
    },
  });

export const starting = (boot: States, initial: string) =>
  setupLife.createStateConfig({
    id: 'starting',
    description: 'Works towards a life that is proved to work, within the ready timeout.',
    entry: ['forgetFailure', 'countLife', 'launch', { type: 'reportState', params: { state: 'starting' } }],
    initial,
    states: boot,
    on: { ...whenEnded, 'life.stop': { target: '#stopping' } },
    after: { readyTimeout: { target: '#recovering', actions: 'noteReadyTimeout' } },
  });

/** `givenUp` is where a life goes that failed too often, `up` what else ends it. */
export const unhealthy = <T extends string>(givenUp: T, up: object) =>
  setupLife.createStateConfig({
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
              target: givenUp,
              actions: [{ type: 'noteDemand', params: demand }, 'noteUnhealthy'],
            },
            { target: 'counting', actions: { type: 'noteDemand', params: demand } },
          ],
        },
        after: { busyGrace: { target: givenUp, actions: 'noteGraceOver' } },
      },
    },
    on: {
      'health.passed': { target: '#healthy', actions: 'passCheck' },
      ...whenCheckFailsAgain(givenUp),
      ...up,
      ...whenWokenUnhealthy,
    },
  });

interface Recovery {
  readonly rest: Rest;
  readonly boot: States;
  readonly initial: string;
  /** The states of the rungs above the restart, and which of them is next. */
  readonly ladder: States;
  readonly verdicts: readonly object[];
}

export const recovering = ({ rest, boot, initial, ladder, verdicts }: Recovery) =>
  setupLife.createStateConfig({
    id: 'recovering',
    description:
      'The last life is over or is being ended; the restart policy and the recovery ladder say what is next.',
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
              actions: [{ type: 'noteIntendedEnd', params: lifeOf }, 'forgetProcess', 'clearProcess'],
            },
            whenEnded['process.ended'],
          ],
          'life.restart': { actions: ['forgetFailure', 'forgetLadder'] },
          'life.reload': { actions: ['forgetFailure', 'forgetLadder'] },
          'life.stop': { target: '#stopping' },
        },
        after: { stopLimit: { target: 'judging', actions: ['forgetProcess', 'clearProcess'] } },
      },
      judging: {
        id: 'judging',
        description: 'One kind of failure, one answer.',
        entry: [{ type: 'reportStep', params: { outcome: 'failed' } }, 'clearStep'],
        always: [
          { target: 'restarting', guard: 'isIntended', actions: 'countAskedRestart' },
          {
            target: 'backingOff',
            guard: { type: 'isNext', params: { step: 'restart' } },
            actions: ['countRestart', { type: 'takeStep', params: { step: 'restart' } }],
          },
          ...verdicts,
          { target: '#failed', guard: 'isOverIntensity', actions: 'noteRestartLimit' },
          { target: '#failed' },
        ],
      },
      backingOff: {
        invoke: { src: 'backoff', id: 'backoff', input: backoffInput, onDone: { target: 'restarting' } },
        on: {
          'life.stop': { target: '#idle' },
          'life.restart': { target: 'restarting', actions: 'forgetLadder' },
          'life.reload': { target: 'restarting', actions: 'forgetLadder' },
        },
      },
      ...ladder,
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

export const failed = (rest: Rest) =>
  setupLife.createStateConfig({
    id: 'failed',
    description: 'Gave up, with a reason. Quiet until an explicit start or restart.',
    entry: [...rest, { type: 'reportState', params: { state: 'failed' } }],
    on: {
      'life.start': { target: '#starting', actions: 'grantOneAttempt' },
      'life.restart': { target: '#starting', actions: 'grantOneAttempt' },
      'life.reload': { target: '#starting', actions: 'grantOneAttempt' },
      'life.stop': { target: '#idle' },
    },
  });

/** `more`: further ways to stop than the one that a host asks for. */
export const stopping = (rest: Rest, more: States = {}) =>
  setupLife.createStateConfig({
    id: 'stopping',
    description: 'A stop was asked for. Ends when the process is gone; asking again escalates.',
    entry: [
      ...rest,
      'forgetFailure',
      'forgetLadder',
      'stopProcess',
      { type: 'reportState', params: { state: 'stopping' } },
    ],
    initial: 'thenIdle',
    states: {
      thenIdle: {
        on: {
          'process.ended': {
            target: '#idle',
            actions: [{ type: 'noteIntendedEnd', params: lifeOf }, 'forgetProcess', 'clearProcess'],
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
            actions: [{ type: 'noteIntendedEnd', params: lifeOf }, 'forgetProcess', 'clearProcess', 'grantBudget'],
          },
          'life.stop': { target: 'thenIdle', actions: 'killProcess' },
        },
        after: { stopLimit: { target: '#starting', actions: ['forgetProcess', 'clearProcess', 'grantBudget'] } },
      },
      ...more,
    },
  });

/** The substate of `stopping` of an agent that makes room for others. */
export const evicting = setupLife.createStateConfig({
  id: 'evicting',
  description: 'It was idle, and its place is wanted or was kept for long enough. A stop has no need to hurry it.',
  on: {
    'process.ended': {
      target: '#idle',
      actions: [{ type: 'noteIntendedEnd', params: lifeOf }, 'forgetProcess', 'clearProcess'],
    },
    'life.stop': { target: 'thenIdle' },
    'life.start': { target: 'thenStart' },
    'life.restart': { target: 'thenStart' },
  },
  after: { stopLimit: { target: '#idle', actions: ['forgetProcess', 'clearProcess'] } },
});
