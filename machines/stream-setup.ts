import { assign, setup, spawnChild, stopChild } from 'xstate';
import { backoffMachine } from './backoff-machine.ts';
import { notProvided } from './not-provided.ts';
import { retryDecision } from './policies/backoff.ts';
import type { Failure } from './policies/failure-class.ts';
import type { StreamSettings } from './settings.ts';

export interface StreamInput extends StreamSettings {
  readonly backendId: string;
  readonly streamId: string;
}

export interface StreamContext extends StreamInput {
  /** Failed connections in a row; a productive one starts the count again. */
  readonly failures: number;
  readonly failure: Failure | null;
}

export interface EndedConnection {
  readonly productive: boolean;
  readonly failure: Failure;
}

/** `productive`: the connection delivered more than its greeting. */
export type StreamEvent =
  | { readonly type: 'stream.start' }
  | { readonly type: 'stream.halt' }
  | { readonly type: 'stream.audit' }
  | { readonly type: 'subscription.connected'; readonly at: number }
  | { readonly type: 'subscription.opened'; readonly at: number }
  | { readonly type: 'subscription.ended'; readonly at: number; readonly productive: boolean }
  | {
      readonly type: 'subscription.failed';
      readonly at: number;
      readonly productive: boolean;
      readonly failure: Failure;
    }
  | { readonly type: 'reconcile.done'; readonly at: number }
  | { readonly type: 'reconcile.failed'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'watch.stalled'; readonly at: number; readonly productive: boolean; readonly failure: Failure }
  | { readonly type: 'watch.revived'; readonly at: number };

/** Whose stream it is: all that the actors need to find their resources. */
export interface StreamSubject {
  readonly backendId: string;
  readonly streamId: string;
}

/** The input of every actor of a stream. */
export const subject = ({ context }: { context: StreamContext }): StreamSubject => ({
  backendId: context.backendId,
  streamId: context.streamId,
});

/** Types, actions, guards and delays of the stream chart; the states are in `stream-machine.ts`. */
export const setupStream = setup({
  types: { input: {} as StreamInput, context: {} as StreamContext, events: {} as StreamEvent },
  actors: {
    /** One connection to the server's events: connected, opened by its first event, then ended or failed. */
    subscription: notProvided<StreamSubject>('subscription'),
    /** Asks the server about the sessions with a running turn, and hands the answers to their turns. */
    reconcile: notProvided<StreamSubject>('reconcile'),
    /** Reads when the last byte came, on a coarse tick. */
    stallWatch: notProvided<StreamSubject>('stallWatch'),
    backoff: backoffMachine,
  },
  actions: {
    /** Called when the stream's actor runs; the composition binds its data plane here. */
    announce: () => undefined,
    /** Called on entry of a top-level state; the composition tells the host. */
    reportState: (_, _params: { readonly state: string }) => undefined,
    /** What arrived while reconciling is applied; attached sessions may send prompts. */
    release: () => undefined,
    /** The attached sessions are without events until the next release. */
    detach: () => undefined,
    /** Each running turn of an attached session fails. */
    abandon: () => undefined,
    connect: spawnChild('subscription', { id: 'subscription', input: subject }),
    disconnect: stopChild('subscription'),
    forgetFailures: assign({ failures: 0, failure: null }),
    countFailure: assign(({ context }, { productive, failure }: EndedConnection) => ({
      failures: productive ? 1 : context.failures + 1,
      failure,
    })),
    countSilence: assign(({ context }, { silence }: { readonly silence: string }) => ({
      failures: context.failures + 1,
      failure: failed(`The event stream ${silence} within ${context.firstEventMs} ms.`),
    })),
    countEnd: assign(({ context }) => ({
      failures: context.failures + 1,
      failure: failed('The event stream ended before its first event.'),
    })),
  },
  guards: {
    isBudgetUsedUp: ({ context }) => retryDecision(context.retry, context.failures).action === 'give-up',
  },
  delays: {
    firstEventLimit: ({ context }) => context.firstEventMs,
    reconcileLimit: ({ context }) => context.reconcileTimeoutMs,
    stallGrace: ({ context }) => context.stallGraceMs,
    auditInterval: ({ context }) => context.auditIntervalMs,
  },
});

function failed(message: string): Failure {
  return { code: 'ERR_STREAM_FAILED', message };
}
