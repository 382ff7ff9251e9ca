import type { Failure } from './policies/failure-class.ts';
import type { LifeCommand } from './life-types.ts';

/** The transitions that several states of process lives share. */

export const lifeOf = ({ event }: { event: { at: number; failure: Failure; stderrTail: string } }) => ({
  at: event.at,
  failure: event.failure,
  stderrTail: event.stderrTail,
});
export const demand = ({ event }: { event: Extract<LifeCommand, { type: 'life.demandChanged' }> }) => ({
  turns: event.turns,
  waiters: event.waiters,
});
const problem = ({ event }: { event: { reason: string } }) => ({ reason: event.reason });

const noteDemand = { type: 'noteDemand', params: demand } as const;
export const failCheck = { type: 'failCheck', params: problem } as const;

/** A new life that somebody asked for: no failure, and the ladder begins anew. */
export const renewed = { target: '#recovering', actions: ['forgetFailure', 'forgetLadder'] } as const;

/** The process ended where nobody asked it to. */
export const whenEnded = {
  'process.ended': {
    target: '#judging',
    actions: [{ type: 'noteEnd', params: lifeOf }, 'forgetProcess', 'clearProcess'],
  },
} as const;

/** What ends a life that works, in whichever of the two states. */
export const whenUp = {
  'process.ended': [
    { ...whenEnded['process.ended'], guard: 'isWanted' },
    { ...whenEnded['process.ended'], target: '#idle' },
  ],
  'life.checkNow': { actions: 'checkNow' },
  'life.woke': { actions: 'checkNow' },
  'life.restart': renewed,
  'life.stop': { target: '#stopping' },
} as const;

/** An agent that nobody needs makes room. */
export const whenEvicted = { 'life.evict': { target: '#evicting', guard: 'isUnneeded' } } as const;

/** The host slept while some checks failed: neither their count nor the busy grace goes on. */
export const whenWokenUnhealthy = {
  'life.woke': [
    { target: '#graced', guard: 'isBusy', actions: ['passCheck', 'checkNow'] },
    { actions: ['passCheck', 'checkNow'] },
  ],
} as const;

/** Asked for while a process boots: it may have read what the caller has changed since, so another one replaces it. */
export const replaceable = { 'life.restart': renewed, 'life.reload': renewed } as const;

/** A new life is wanted, and those who work may finish first. */
export const whenReloaded = {
  'life.reload': [{ target: '#draining', guard: 'isBusy', actions: 'wantRenewal' }, renewed],
} as const;

/** The same while some checks fail: that it is wanted is remembered. */
export const whenReloadedUnhealthy = {
  'life.reload': [{ guard: 'isBusy', actions: 'wantRenewal' }, renewed],
} as const;

/** The last of those who work has finished. */
const whenDrained = {
  'life.demandChanged': [
    { guard: { type: 'hasTurns', params: demand }, actions: noteDemand },
    { ...renewed, actions: [noteDemand, ...renewed.actions] },
  ],
} as const;

/** A life that is to make room for a new one. `on`: what else may happen meanwhile. */
export const draining = <T extends object>(on: T) =>
  ({
    id: 'draining',
    description: 'A new life is wanted; the turns that run may finish, the next ones wait for it.',
    always: { ...renewed, guard: 'isFree' },
    on: { ...whenDrained, ...on },
  }) as const;

/** A failed check of a life that seemed to work; `givenUp` is where one goes that failed too often. */
export const whenCheckFails = <T extends string>(givenUp: T) =>
  ({
    'health.failed': [
      { target: givenUp, guard: 'isFailedForGood', actions: [failCheck, 'noteUnhealthy'] },
      { target: '#graced', guard: 'isBusy', actions: failCheck },
      { target: '#unhealthy', actions: failCheck },
    ],
  }) as const;

/** Further checks of a life that failed some. */
export const whenCheckFailsAgain = <T extends string>(givenUp: T) =>
  ({
    'health.failed': [
      { target: givenUp, guard: 'isFailedForGood', actions: [failCheck, 'noteUnhealthy'] },
      { actions: failCheck },
    ],
  }) as const;
