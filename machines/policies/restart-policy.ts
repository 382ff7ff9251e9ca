import { type BackoffPolicy, backoffDelay } from './backoff.ts';

/** How a backend is brought back, and when it is given up. */
export interface RestartPolicy {
  /** `always` restarts after any exit; `needed` only while a turn or a caller waits for the backend. */
  readonly when: 'always' | 'needed';
  /** Restarts allowed inside the window; one more ends in `failed`. */
  readonly maxRestarts: number;
  /** Length of the sliding window, in milliseconds. */
  readonly windowMs: number;
  readonly backoff: BackoffPolicy;
  /** Healthy for this long, the backoff starts again from its base, in milliseconds. */
  readonly resetAfterMs: number;
}

/** A backend that was healthy for this long is restarted at once the first time, in milliseconds. */
export const STABLE_AFTER_MS = 10_000;

/** One restart against the intensity limit: admitted or not, and the restarts that still count. */
export interface RestartAdmission {
  readonly admitted: boolean;
  readonly history: readonly number[];
}

/** Counts a restart at time `at` against `maxRestarts` in `windowMs`. Times are monotonic milliseconds. */
export function admitRestart(
  policy: Pick<RestartPolicy, 'maxRestarts' | 'windowMs'>,
  history: readonly number[],
  at: number,
): RestartAdmission {
  const recent = history.filter((time) => at - time < policy.windowMs);
  if (recent.length >= policy.maxRestarts) return { admitted: false, history: recent };
  return { admitted: true, history: [...recent, at] };
}

/** What is known when a restart is due. */
export interface RestartCircumstances {
  /** Failures in a row, this one included. */
  readonly attempt: number;
  /** Launches that a start may use before the backoff begins. */
  readonly startAttempts: number;
  /** How long the ended life was healthy, in milliseconds; 0 when it never was. */
  readonly healthyForMs: number;
}

/** The delay before the next launch, before jitter, in milliseconds. */
export function restartDelay(
  policy: RestartPolicy,
  { attempt, startAttempts, healthyForMs }: RestartCircumstances,
): number {
  if (attempt === 1 && healthyForMs >= STABLE_AFTER_MS) return 0;
  if (healthyForMs === 0 && attempt < startAttempts) return 0;
  const delays = healthyForMs === 0 ? attempt - startAttempts + 1 : attempt;
  return backoffDelay(policy.backoff, delays);
}
