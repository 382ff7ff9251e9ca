/** How long to wait between attempts. A value, not a mechanism: it can be logged, compared and sent as JSON. */
export interface BackoffPolicy {
  /** Delay before the first retry, in milliseconds. */
  readonly baseMs: number;
  /** No delay is longer than this, in milliseconds. */
  readonly maxMs: number;
  /** Each delay is this many times the one before. */
  readonly factor: number;
  /** `full` picks a delay between zero and the computed one; `none` takes the computed one. */
  readonly jitter: 'none' | 'full';
}

/** A backoff that gives up: after `maxAttempts` failures in a row there is no further attempt. */
export interface RetryPolicy extends BackoffPolicy {
  readonly maxAttempts: number;
}

/** What to do after a number of failures in a row. */
export type RetryDecision = { readonly action: 'retry'; readonly delayMs: number } | { readonly action: 'give-up' };

/** The delay before attempt number `attempt` (1 is the first retry), before jitter. */
export function backoffDelay(policy: BackoffPolicy, attempt: number): number {
  return Math.min(policy.maxMs, policy.baseMs * policy.factor ** Math.max(0, attempt - 1));
}

/** Applies the policy's jitter; `random` is a number in [0, 1). */
export function withJitter(delayMs: number, jitter: BackoffPolicy['jitter'], random: number): number {
  return jitter === 'full' ? Math.round(delayMs * random) : delayMs;
}

/** Decides after `failures` failures in a row (1-based) whether to try again, and when. */
export function retryDecision(policy: RetryPolicy, failures: number): RetryDecision {
  if (failures > policy.maxAttempts) return { action: 'give-up' };
  return { action: 'retry', delayMs: backoffDelay(policy, failures) };
}
