import { setup } from 'xstate';
import type { BackoffPolicy } from './policies/backoff.ts';

/** What a backoff is started with: the delay before jitter, in milliseconds, and how to spread it. */
export interface BackoffInput {
  readonly delayMs: number;
  readonly jitter: BackoffPolicy['jitter'];
}

/** Waits before the next attempt. Done when the wait is over; stopping it wakes nobody. */
export const backoffMachine = setup({
  types: {
    input: {} as BackoffInput,
    context: {} as BackoffInput,
    events: {} as { readonly type: 'backoff.skip' },
  },
  delays: {
    /** Without randomness the whole delay; the composition provides the jitter. */
    wait: ({ context }) => context.delayMs,
  },
}).createMachine({
  id: 'backoff',
  context: ({ input }) => input,
  initial: 'waiting',
  states: {
    waiting: {
      description: 'The delay runs; the next attempt has not begun.',
      on: { 'backoff.skip': { target: 'elapsed' } },
      after: { wait: { target: 'elapsed' } },
    },
    elapsed: { description: 'The next attempt may begin.', type: 'final' },
  },
});
