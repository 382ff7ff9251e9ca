/** What is known when a health check failed. */
export interface HealthEvidence {
  /** Failed checks in a row, this one included. */
  readonly failures: number;
  /** This many failed checks in a row end the life of an idle backend. */
  readonly failureThreshold: number;
  /** Whether a turn is running: a busy backend gets a grace instead of a count. */
  readonly busy: boolean;
}

/** `watch`: count on; `grace`: a turn runs, wait for the busy grace to end; `restart`: give this life up. */
export type HealthVerdict = 'watch' | 'grace' | 'restart';

/** Decides after a failed health check. The busy grace itself is a timer of the chart. */
export function healthVerdict({ failures, failureThreshold, busy }: HealthEvidence): HealthVerdict {
  if (busy) return 'grace';
  return failures >= failureThreshold ? 'restart' : 'watch';
}
