import type { Failure } from './failure-class.ts';

/**
 * One thing that was learnt about a turn. Adapters translate their protocol into these; nothing else may settle a turn.
 *
 * `working`/`quiet`: the session became busy, or idle. `step-ended`: one answer of the agent is complete; `last` when no
 * further step follows it. `errored`: this turn's own message carries an error. `session-errored`: an error that names the
 * session only. `aborted`: this turn's message was aborted. `rejected`: a person's rejection ended the agent's work.
 * `responded`: the agent answered this very request (protocols with request ids). `gone`: who worked on it is no more, and
 * nobody else can tell what became of it. `reconciled`: what the server says about
 * this turn's prompt when asked.
 */
export type TurnFact =
  | { readonly kind: 'working' }
  | { readonly kind: 'quiet' }
  | { readonly kind: 'step-began' }
  | { readonly kind: 'step-ended'; readonly last: boolean; readonly stopReason?: string }
  | { readonly kind: 'errored'; readonly failure: Failure }
  | { readonly kind: 'session-errored'; readonly failure: Failure }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'rejected' }
  | { readonly kind: 'responded'; readonly stopReason?: string; readonly failure?: Failure }
  | { readonly kind: 'gone' }
  | ReconciledFact;

/** What a server knows of a prompt: nothing, the message without its content, or all of it. */
export interface ReconciledFact {
  readonly kind: 'reconciled';
  readonly place: 'absent' | 'torn' | 'present';
  readonly working: boolean;
  /** Another process life answered than the one that the prompt was sent to. */
  readonly otherLife: boolean;
  /** The prompt was sent so long ago that a live server would have begun. */
  readonly overdue: boolean;
}

/** Everything known about a turn that bears on its settlement. */
export interface Evidence {
  /** Busy was seen since the prompt was accepted: only then does quiet mean anything. */
  readonly began: boolean;
  readonly quiet: boolean;
  readonly steps: number;
  /** The latest step has no end yet. */
  readonly isStepOpen: boolean;
  readonly ended?: { readonly stopReason?: string };
  readonly failure?: Failure;
  readonly sessionFailure?: Failure;
  readonly aborted: boolean;
  readonly rejected: boolean;
  readonly gone: boolean;
  readonly responded?: { readonly stopReason?: string; readonly failure?: Failure };
  /** The latest word of the server, until something newer is seen. */
  readonly reconciled: ReconciledFact | null;
}

/** Nothing is known yet. */
export const NO_EVIDENCE: Evidence = {
  began: false,
  quiet: false,
  steps: 0,
  isStepOpen: false,
  aborted: false,
  rejected: false,
  gone: false,
  reconciled: null,
};

/**
 * What the evidence says. `completed` and `failed` are proved. `interrupted`: the work has ended without proof of its
 * result. `unproven`: quiet without any proof yet, so ask the server. `doubtful`: the server says that nobody works on it,
 * though the answer it has begun has no end: what ended was something else. `lost`: the server never accepted the prompt.
 */
export type Assessment =
  | { readonly kind: 'completed'; readonly stopReason?: string }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'unproven' }
  | { readonly kind: 'doubtful' }
  | { readonly kind: 'lost' };

/** Adds a fact to what is known. */
export function recordFact(evidence: Evidence, fact: TurnFact): Evidence {
  switch (fact.kind) {
    case 'working':
      return { ...evidence, began: true, quiet: false, reconciled: null };
    case 'quiet':
      return { ...evidence, quiet: evidence.began, reconciled: null };
    case 'step-began': {
      const { ended: _, ...rest } = evidence; // What seemed to be the last step was not.
      const steps = evidence.steps + 1;
      return { ...rest, steps, isStepOpen: true, began: true, quiet: false, rejected: false, reconciled: null };
    }
    case 'step-ended':
      return { ...evidence, isStepOpen: false, ...(fact.last ? { ended: stopReasonOf(fact) } : {}) };
    case 'errored':
      return { ...evidence, isStepOpen: false, failure: fact.failure };
    case 'session-errored':
      return evidence.began ? { ...evidence, sessionFailure: fact.failure } : evidence;
    case 'aborted':
      return { ...evidence, isStepOpen: false, aborted: true };
    case 'rejected':
      return { ...evidence, rejected: true };
    case 'responded':
      return { ...evidence, quiet: true, responded: fact };
    case 'gone':
      return { ...evidence, quiet: true, gone: true };
    case 'reconciled':
      return { ...evidence, quiet: !fact.working, began: evidence.began || fact.working, reconciled: fact };
  }
}

/** Reads the evidence; `undefined` while the turn goes on. */
export function assess(evidence: Evidence): Assessment | undefined {
  if (evidence.responded) return assessResponse(evidence.responded);
  if (evidence.gone) return { kind: 'interrupted' };
  if (!evidence.quiet) return undefined;
  return assessProof(evidence) ?? assessReconciled(evidence);
}

function assessResponse(responded: NonNullable<Evidence['responded']>): Assessment {
  return responded.failure
    ? { kind: 'failed', failure: responded.failure }
    : { kind: 'completed', ...stopReasonOf(responded) };
}

/** A session error counts only where no answer of this turn was completed after it. */
function assessProof(evidence: Evidence): Assessment | undefined {
  if (evidence.failure) return { kind: 'failed', failure: evidence.failure };
  if (evidence.aborted) return { kind: 'interrupted' };
  if (evidence.ended) return { kind: 'completed', ...evidence.ended };
  if (evidence.rejected && evidence.steps > 0 && !evidence.isStepOpen && !evidence.reconciled?.otherLife)
    return { kind: 'completed', stopReason: 'rejected' };
  if (evidence.sessionFailure) return { kind: 'failed', failure: evidence.sessionFailure };
  return undefined;
}

/** A server that lives ends what it has begun: with an answer, an error or an abort. Idle without any of these is stale. */
function assessReconciled({ reconciled, began, isStepOpen }: Evidence): Assessment | undefined {
  if (!reconciled) return { kind: 'unproven' };
  const { place, otherLife, overdue } = reconciled;
  if (began) return { kind: isStepOpen && !otherLife ? 'doubtful' : 'interrupted' };
  if (!otherLife && !overdue) return undefined;
  return place === 'present' ? { kind: 'interrupted' } : { kind: 'lost' };
}

function stopReasonOf({ stopReason }: { readonly stopReason?: string }): { readonly stopReason?: string } {
  return stopReason === undefined ? {} : { stopReason };
}
