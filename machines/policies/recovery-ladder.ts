import { classifyFailure, type Failure, type FailureClass } from './failure-class.ts';

/** A rung of the recovery ladder. */
export type RecoveryStep = 'restart' | 'capture-diagnostics' | 'rollback-config' | 'seed-config';

/** Whether a rung changes the configuration. */
export const isAboutConfig = (step: RecoveryStep): boolean => step === 'rollback-config' || step === 'seed-config';

/** What may help against what. A configuration is touched only where it is, or may be, the reason. */
const HELPFUL: Readonly<Record<FailureClass, readonly RecoveryStep[]>> = {
  permanent: [],
  transient: ['restart', 'capture-diagnostics'],
  suspicious: ['restart', 'capture-diagnostics', 'rollback-config'],
  configuration: ['rollback-config', 'seed-config'],
};

/** Where a recovery stands. */
export interface LadderPosition {
  readonly failure: Failure;
  /** The rungs that the backend has. */
  readonly steps: readonly RecoveryStep[];
  /** The rungs that were taken since it last worked for a while, or since its configuration changed. */
  readonly attempted: readonly RecoveryStep[];
  /** Whether the restart policy allows another launch of the same thing. */
  readonly mayRestart: boolean;
}

/**
 * The next rung; `undefined` where the ladder is at its end. A restart may be repeated as long as the restart policy allows,
 * every other rung is taken once. A configuration that was refused is not started again: the ladder begins at the rollback.
 */
export function nextRecoveryStep({ failure, steps, attempted, mayRestart }: LadderPosition): RecoveryStep | undefined {
  const failureClass = classifyFailure(failure);
  const helpful = HELPFUL[failureClass].filter((step) => steps.includes(step));
  const untried = helpful.find((step) => !attempted.includes(step));
  if (failureClass === 'configuration') return untried;
  if (!mayRestart) return undefined;
  return untried ?? (helpful.includes('restart') ? 'restart' : undefined);
}
