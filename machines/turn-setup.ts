import { assign, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import type { Failure } from './policies/failure-class.ts';
import type { Assessment } from './policies/settlement.ts';

/** How a turn ended. `indeterminate`: accepted, then the backend died before any proof of the end. */
export type TurnVerdict =
  | { readonly outcome: 'completed'; readonly stopReason?: string }
  | { readonly outcome: 'cancelled'; readonly failure?: Failure }
  | { readonly outcome: 'failed'; readonly failure: Failure }
  | { readonly outcome: 'indeterminate'; readonly failure?: Failure };

/** Time limits of one turn, in milliseconds. */
export interface TurnLimits {
  readonly inactivityTimeoutMs: number;
  readonly deadlineMs: number;
  readonly cancelTimeoutMs: number;
}

export interface TurnInput extends TurnLimits {
  readonly turnId: string;
}

export interface TurnContext extends TurnInput {
  readonly deadlineAt: number;
  /** When the clocks stopped because a person decides. */
  readonly pausedAt: number;
  readonly pendingDecisions: number;
  /** How often the prompt was sent. */
  readonly dispatches: number;
  /** Why the turn is being ended by a clock; null where the host asked. */
  readonly expiry: Failure | null;
  readonly verdict: TurnVerdict | null;
}

/** The one command is `turn.cancel`; every fact carries the monotonic time at which its fact held, in milliseconds. */
export type TurnEvent =
  | { readonly type: 'turn.admit'; readonly at: number }
  | { readonly type: 'turn.cancel' }
  | { readonly type: 'turn.abandon'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'turn.began'; readonly at: number }
  | { readonly type: 'turn.assessed'; readonly at: number; readonly assessment: Assessment }
  | { readonly type: 'dispatch.accepted'; readonly at: number }
  | { readonly type: 'dispatch.refused'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'dispatch.unsent'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'dispatch.unknown'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'session.quiet'; readonly at: number }
  | { readonly type: 'backend.available'; readonly at: number }
  | { readonly type: 'backend.lost'; readonly at: number }
  | { readonly type: 'backend.exited'; readonly at: number }
  | { readonly type: 'backend.failed'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'decision.asked'; readonly at: number }
  | { readonly type: 'decision.closed'; readonly at: number }
  | { readonly type: 'clock.inactive'; readonly at: number };

/** A prompt that a server loses this often is not sent again. */
export const MAX_DISPATCHES = 5;

const expired = (code: string, what: string, limitMs: number): Failure => ({
  code,
  message: `The turn ${what} ${limitMs} ms: it was cancelled. Raise the limit, or look at what the agent was doing.`,
});

/** Types, actions, guards and delays of the turn chart; the states are in `turn-machine.ts`. */
export const setupTurn = setup({
  types: { input: {} as TurnInput, context: {} as TurnContext, events: {} as TurnEvent },
  actors: {
    /** Ends what an earlier turn left working; reports `session.quiet`, at the latest at its limit. */
    quieter: notProvided<{ turnId: string }>('quieter'),
    /** Sends the prompt once and reports `dispatch.accepted`, `dispatch.refused` or `dispatch.unknown`. */
    dispatch: notProvided<{ turnId: string }>('dispatch'),
    /** Asks at once and every second what became of a prompt whose sending has an unknown outcome. */
    auditor: notProvided<{ turnId: string }>('auditor'),
    /** Cancels at once, on the first sign of work, and every 250 ms, until it is stopped. */
    canceller: notProvided<{ turnId: string }>('canceller'),
    /** Reads when the turn was last heard of, on a coarse tick; reports `clock.inactive`. */
    inactivityClock: notProvided<{ turnId: string; limitMs: number }>('inactivityClock'),
  },
  actions: {
    /** Called when the turn's actor runs; the composition binds its data plane here. */
    announce: () => undefined,
    /** The backend must be started or reconnected; answered by `backend.available` or `backend.failed`. */
    requestBackend: () => undefined,
    /** The server must be asked what became of this turn; answered by `turn.assessed`. */
    requestAudit: () => undefined,
    /** Answered by `backend.lost` or `backend.exited` when the connection broke while the prompt was on its way. */
    confirmAttached: () => undefined,
    /** The turn is cancelled before its prompt was accepted; the composition stops what was not sent yet. */
    withdraw: () => undefined,
    /** Pending permissions and questions are answered `cancelled`. */
    withdrawDecisions: () => undefined,
    /** The cancel was ignored up to its limit: what runs the session is no longer trusted. */
    retire: () => undefined,
    /** Tells the host; happens exactly once. */
    settle: () => undefined,
    startDeadline: assign({ deadlineAt: ({ context, event }) => timeOf(event, context) + context.deadlineMs }),
    pauseClocks: assign({ pausedAt: ({ context, event }) => timeOf(event, context) }),
    resumeClocks: assign({
      deadlineAt: ({ context, event }) => context.deadlineAt + Math.max(0, timeOf(event, context) - context.pausedAt),
    }),
    countDispatch: assign({ dispatches: ({ context }) => context.dispatches + 1 }),
    countAsked: assign({ pendingDecisions: ({ context }) => context.pendingDecisions + 1 }),
    countClosed: assign({ pendingDecisions: ({ context }) => Math.max(0, context.pendingDecisions - 1) }),
    forgetDecisions: assign({ pendingDecisions: 0 }),
    expireDeadline: assign({
      expiry: ({ context }) => expired('ERR_TURN_DEADLINE', 'ran for more than', context.deadlineMs),
    }),
    expireInactivity: assign({
      expiry: ({ context }) => expired('ERR_TURN_INACTIVE', 'showed no activity for', context.inactivityTimeoutMs),
    }),
    concludeExpired: assign({
      verdict: ({ context }): TurnVerdict => ({
        outcome: 'failed',
        failure: expired('ERR_TURN_DEADLINE', 'waited for its backend for', context.deadlineMs),
      }),
    }),
    concludeCancelled: assign({ verdict: ({ context }): TurnVerdict => cancelVerdict(context) }),
    concludeLost: assign({
      verdict: ({ context }): TurnVerdict => ({
        outcome: 'failed',
        failure: { code: 'ERR_BACKEND_EXITED', message: `The backend lost this prompt ${context.dispatches} times.` },
      }),
    }),
    concludeIgnored: assign({ verdict: ({ context }): TurnVerdict => ignoredVerdict(context) }),
    concludeFailed: assign((_, params: { failure: Failure }) => ({
      verdict: { outcome: 'failed', failure: params.failure } satisfies TurnVerdict,
    })),
    concludeIndeterminate: assign((_, params: { failure: Failure }) => ({
      verdict: { outcome: 'indeterminate', failure: params.failure } satisfies TurnVerdict,
    })),
    concludeProved: assign((_, params: { assessment: Assessment }) => ({ verdict: provedVerdict(params.assessment) })),
  },
  guards: {
    isProved: (_, params: { assessment: Assessment }) => PROVED.has(params.assessment.kind),
    isUnproven: (_, params: { assessment: Assessment }) => params.assessment.kind === 'unproven',
    isDoubtful: (_, params: { assessment: Assessment }) => params.assessment.kind === 'doubtful',
    mayTryAgain: ({ context }) => context.dispatches < MAX_DISPATCHES,
    isLost: (_, params: { assessment: Assessment }) => params.assessment.kind === 'lost',
    canSendAgain: ({ context }, params: { assessment: Assessment }) =>
      params.assessment.kind === 'lost' && context.dispatches < MAX_DISPATCHES,
    isLastDecision: ({ context }) => context.pendingDecisions <= 1,
    hasDecisions: ({ context }) => context.pendingDecisions > 0,
  },
  delays: {
    deadline: ({ context, event }) => Math.max(0, context.deadlineAt - timeOf(event, context)),
    cancelTimeout: ({ context }) => context.cancelTimeoutMs,
    doubtLimit: ({ context }) => context.cancelTimeoutMs / 8,
    withdrawLimit: ({ context }) => context.cancelTimeoutMs / 3,
  },
});

/** When the event's fact held. A command has no time of its own and never starts or stops a clock. */
function timeOf(event: TurnEvent, context: TurnContext): number {
  return 'at' in event ? event.at : context.deadlineAt;
}

const INTERRUPTED: Failure = {
  code: 'ERR_BACKEND_EXITED',
  message: 'The prompt was accepted, and the work on it ended before its result was proved. It is not run again.',
};

const PROVED: ReadonlySet<Assessment['kind']> = new Set(['completed', 'failed', 'interrupted']);

function provedVerdict(assessment: Assessment): TurnVerdict {
  if (assessment.kind === 'failed') return { outcome: 'failed', failure: assessment.failure };
  if (assessment.kind !== 'completed') return { outcome: 'indeterminate', failure: INTERRUPTED };
  return {
    outcome: 'completed',
    ...(assessment.stopReason === undefined ? {} : { stopReason: assessment.stopReason }),
  };
}

function cancelVerdict({ expiry }: TurnContext): TurnVerdict {
  return expiry ? { outcome: 'failed', failure: expiry } : { outcome: 'cancelled' };
}

function ignoredVerdict({ expiry, cancelTimeoutMs }: TurnContext): TurnVerdict {
  if (expiry) return { outcome: 'failed', failure: expiry };
  const message = `The agent did not stop within ${cancelTimeoutMs} ms of the cancel; it is being retired.`;
  return { outcome: 'cancelled', failure: { code: 'ERR_CANCEL_TIMEOUT', message } };
}
