import type { Failure } from './policies/failure-class.ts';
import { setupTurn, type TurnEvent } from './turn-setup.ts';

type EventOf<T extends TurnEvent['type']> = Extract<TurnEvent, { type: T }>;
const assessed = ({ event }: { event: EventOf<'turn.assessed'> }) => ({ assessment: event.assessment });
const failureOf = ({ event }: { event: { failure: Failure } }) => ({ failure: event.failure });

/** Proof of the end, wherever it is read. */
const whenProved = {
  target: '#turn.settled',
  guard: { type: 'isProved', params: assessed },
  actions: { type: 'concludeProved', params: assessed },
} as const;

const whenLost = {
  target: '#turn.dispatching',
  guard: { type: 'canSendAgain', params: assessed },
} as const;

const whenLostTooOften = {
  target: '#turn.settled',
  guard: { type: 'isLost', params: assessed },
  actions: 'concludeLost',
} as const;

const whenUnproven = { guard: { type: 'isUnproven', params: assessed }, actions: 'requestAudit' } as const;

const whenDoubtful = { target: 'doubting', guard: { type: 'isDoubtful', params: assessed } } as const;

const whenCancelled = { target: '#turn.settled', actions: 'concludeCancelled' } as const;

const whenUnsent = {
  'turn.cancel': { target: '#turn.settled', actions: 'concludeCancelled' },
  'turn.abandon': { target: '#turn.settled', actions: { type: 'concludeFailed', params: failureOf } },
} as const;

const whenSent = {
  'turn.cancel': { target: '#turn.cancelling' },
  'turn.abandon': { target: '#turn.settled', actions: { type: 'concludeIndeterminate', params: failureOf } },
} as const;

/** One turn: from its place in the line to exactly one settlement. */
export const turnMachine = setupTurn.createMachine({
  id: 'turn',
  context: ({ input }) => ({
    ...input,
    deadlineAt: 0,
    pausedAt: 0,
    pendingDecisions: 0,
    dispatches: 0,
    expiry: null,
    verdict: null,
  }),
  entry: 'announce',
  initial: 'queued',
  states: {
    queued: {
      description: 'Waits for the turns before it in its session; each of them has a deadline.',
      on: { 'turn.admit': { target: 'dispatching', actions: 'startDeadline' }, ...whenUnsent },
    },
    dispatching: {
      description:
        'The prompt is on its way. It may wait for the backend, and is sent again only if it was not accepted.',
      initial: 'awaitingBackend',
      states: {
        awaitingBackend: {
          description: 'The backend starts or reconnects.',
          entry: 'requestBackend',
          on: {
            'backend.available': { target: 'quieting' },
            'backend.failed': { target: '#turn.settled', actions: { type: 'concludeFailed', params: failureOf } },
            ...whenUnsent,
          },
          after: { deadline: { target: '#turn.settled', actions: 'concludeExpired' } },
        },
        quieting: {
          description: 'What an earlier turn left working is ended first; the quieter keeps its own time limit.',
          invoke: { src: 'quieter', id: 'quieter', input: ({ context }) => ({ turnId: context.turnId }) },
          on: {
            'session.quiet': { target: 'sending' },
            'backend.lost': { target: 'awaitingBackend' },
            'backend.exited': { target: 'awaitingBackend' },
            ...whenUnsent,
          },
        },
        sending: {
          description: 'The request is under way.',
          entry: 'countDispatch',
          invoke: { src: 'dispatch', id: 'dispatch', input: ({ context }) => ({ turnId: context.turnId }) },
          initial: 'accepting',
          states: {
            accepting: {
              on: {
                'dispatch.accepted': { target: '#turn.running' },
                'dispatch.refused': { target: '#turn.settled', actions: { type: 'concludeFailed', params: failureOf } },
                'dispatch.unsent': [
                  { target: '#turn.dispatching.awaitingBackend', guard: 'mayTryAgain' },
                  { target: '#turn.settled', actions: { type: 'concludeFailed', params: failureOf } },
                ],
                'dispatch.unknown': { target: '#turn.dispatching.verifying' },
                'turn.began': { target: '#turn.running' },
                'turn.cancel': { target: 'withdrawn' },
                'decision.asked': { target: '#turn.awaitingDecision', actions: ['countAsked', 'pauseClocks'] },
              },
              after: { deadline: { target: 'withdrawn', actions: 'expireDeadline' } },
            },
            withdrawn: {
              description:
                'Cancelled, or out of time, before the answer: first learn whether there is anything to cancel.',
              entry: 'withdraw',
              after: { withdrawLimit: { target: '#turn.cancelling' } },
              on: {
                'dispatch.accepted': { target: '#turn.cancelling' },
                'dispatch.refused': { target: '#turn.settled', actions: 'concludeCancelled' },
                'dispatch.unsent': { target: '#turn.settled', actions: 'concludeCancelled' },
                'dispatch.unknown': { target: '#turn.cancelling' },
                'turn.began': { target: '#turn.cancelling' },
                'decision.asked': { target: '#turn.cancelling' },
                'turn.assessed': {
                  target: '#turn.settled',
                  guard: { type: 'isProved', params: assessed },
                  actions: 'concludeCancelled',
                },
              },
            },
          },
          on: { 'turn.assessed': whenProved, 'turn.abandon': whenSent['turn.abandon'] },
        },
        verifying: {
          description: 'Whether the prompt was accepted is unknown: never send it again before that is known.',
          invoke: { src: 'auditor', id: 'auditor', input: ({ context }) => ({ turnId: context.turnId }) },
          on: {
            'turn.began': { target: '#turn.running' },
            'decision.asked': { target: '#turn.awaitingDecision', actions: ['countAsked', 'pauseClocks'] },
            'turn.assessed': [whenProved, whenLost, whenLostTooOften],
            'backend.failed': {
              target: '#turn.settled',
              actions: { type: 'concludeIndeterminate', params: failureOf },
            },
            ...whenSent,
          },
          after: { deadline: { target: '#turn.cancelling', actions: 'expireDeadline' } },
        },
      },
    },
    running: {
      description: 'The agent accepted the prompt and works on it.',
      initial: 'attached',
      states: {
        attached: {
          description: 'Its events arrive; silence for too long ends the turn.',
          entry: 'confirmAttached',
          invoke: {
            src: 'inactivityClock',
            id: 'inactivityClock',
            input: ({ context }) => ({ turnId: context.turnId, limitMs: context.inactivityTimeoutMs }),
          },
          on: {
            'backend.lost': { target: 'detached' },
            'backend.exited': { target: 'orphaned' },
            'clock.inactive': { target: '#turn.cancelling', actions: 'expireInactivity' },
          },
        },
        detached: {
          description: 'The connection is gone, the agent may work on; the reconnect tells.',
          on: {
            'backend.available': [
              { target: '#turn.awaitingDecision', guard: 'hasDecisions', actions: 'pauseClocks' },
              { target: 'attached' },
            ],
            'backend.exited': { target: 'orphaned', actions: ['withdrawDecisions', 'forgetDecisions'] },
            'backend.failed': { target: '#turn.settled', actions: { type: 'concludeFailed', params: failureOf } },
          },
        },
        orphaned: {
          description: 'The process that ran it is gone; the next one tells whether it ever accepted the prompt.',
          on: {
            'backend.available': { target: 'attached' },
            'backend.failed': {
              target: '#turn.settled',
              actions: { type: 'concludeIndeterminate', params: failureOf },
            },
            'turn.cancel': { target: '#turn.settled', actions: 'concludeCancelled' },
          },
        },
      },
      on: {
        'turn.assessed': [whenProved, whenUnproven, whenLost, whenLostTooOften],
        'decision.asked': { target: 'awaitingDecision', actions: ['countAsked', 'pauseClocks'] },
        'decision.closed': { actions: 'countClosed' },
        ...whenSent,
      },
      after: { deadline: { target: 'cancelling', actions: 'expireDeadline' } },
    },
    awaitingDecision: {
      description: 'A person decides; the clocks of the turn stand still. Bounded by the time limit of each decision.',
      on: {
        'decision.asked': { actions: 'countAsked' },
        'decision.closed': [
          { target: 'running', guard: 'isLastDecision', actions: ['countClosed', 'resumeClocks'] },
          { actions: 'countClosed' },
        ],
        'backend.lost': { target: 'running.detached', actions: 'resumeClocks' },
        'backend.exited': {
          target: 'running.orphaned',
          actions: ['withdrawDecisions', 'forgetDecisions', 'resumeClocks'],
        },
        'turn.assessed': whenProved,
        ...whenSent,
      },
    },
    cancelling: {
      description: 'The cancel is repeated until the agent is quiet.',
      entry: ['withdrawDecisions', 'forgetDecisions'],
      invoke: { src: 'canceller', id: 'canceller', input: ({ context }) => ({ turnId: context.turnId }) },
      initial: 'repeating',
      states: {
        repeating: {
          description: 'Nothing says that the work has ended.',
          on: { 'turn.assessed': [whenUnproven, whenDoubtful, whenCancelled] },
        },
        doubting: {
          description: 'The agent says that it is idle; what it has begun has no end, and may get one.',
          on: { 'turn.assessed': [whenUnproven, { guard: { type: 'isDoubtful', params: assessed } }, whenCancelled] },
          after: { doubtLimit: { target: '#turn.settled', actions: 'concludeCancelled' } },
        },
      },
      on: {
        'backend.exited': { target: 'settled', actions: 'concludeCancelled' },
        'backend.failed': { target: 'settled', actions: 'concludeCancelled' },
        'turn.abandon': { target: 'settled', actions: 'concludeCancelled' },
        'decision.asked': { actions: 'withdrawDecisions' },
      },
      after: { cancelTimeout: { target: 'settled', actions: ['concludeIgnored', 'retire'] } },
    },
    settled: {
      description: 'Told to the host, once.',
      type: 'final',
      entry: ['withdrawDecisions', 'settle'],
    },
  },
});
