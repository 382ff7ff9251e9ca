import type { Failure } from './failure-class.ts';
import { healthVerdict, type HealthVerdict } from './health-verdict.ts';
import { isAboutConfig, nextRecoveryStep, type RecoveryStep } from './recovery-ladder.ts';
import { admitRestart, type RestartPolicy } from './restart-policy.ts';

/** What a chart of process lives knows of them. */
export interface LifeRecord {
  /** Process lives so far; the current one carries this number. */
  readonly generation: number;
  readonly pid: number | null;
  readonly version: string | null;
  readonly restarts: number;
  readonly restartHistory: readonly number[];
  /** Failed lives in a row, for the backoff. */
  readonly attempt: number;
  /** A start from `failed` gets one attempt, not a new budget. */
  readonly budget: 'full' | 'one-attempt';
  readonly healthySince: number | null;
  /** How long the last life was healthy, and when it ended. */
  readonly healthyForMs: number;
  readonly endedAt: number;
  /** Failed checks in a row, and what the last of them said. */
  readonly failures: number;
  readonly checkFailure: string | null;
  readonly turns: number;
  readonly waiters: number;
  /** Why the last life ended, or why this one is being ended; null where it was asked for. */
  readonly failure: Failure | null;
  /** The last failure until a life is healthy again, for the status. */
  readonly lastFailure: Failure | null;
  /** A new life is wanted as soon as no turn runs. */
  readonly isRenewalWanted: boolean;
  /** The configuration of the current life, by its content; null where there is none of ours. */
  readonly configId: string | null;
  /** The rungs of the ladder that were taken. */
  readonly attempted: readonly RecoveryStep[];
  /** The rung whose outcome is awaited. */
  readonly activeStep: RecoveryStep | null;
  /** A rung changed the configuration, and no life has worked with that yet. */
  readonly isConfigOnTrial: boolean;
}

/** The rungs that launch something else: they have a launch of their own each. */
const CONFIG_RUNGS = 2;

/** Before the first life. */
export const NO_LIFE: LifeRecord = {
  generation: 0,
  pid: null,
  version: null,
  restarts: 0,
  restartHistory: [],
  attempt: 0,
  budget: 'full',
  healthySince: null,
  healthyForMs: 0,
  endedAt: 0,
  failures: 0,
  checkFailure: null,
  turns: 0,
  waiters: 0,
  failure: null,
  lastFailure: null,
  isRenewalWanted: false,
  configId: null,
  attempted: [],
  activeStep: null,
  isConfigOnTrial: false,
};

interface JudgedLife extends LifeRecord {
  readonly label: string;
  readonly mode: 'managed' | 'external';
  readonly restart: RestartPolicy;
  readonly health: { readonly failureThreshold: number; readonly busyGraceMs: number };
  readonly recovery: { readonly steps: readonly RecoveryStep[] };
}

/** How a life ended. */
export interface EndedLife {
  readonly at: number;
  readonly failure: Failure;
  readonly stderrTail: string;
}

export function failing(failure: Failure): Pick<LifeRecord, 'failure' | 'lastFailure'> {
  return { failure, lastFailure: failure };
}

/** A life that works, since `at`. */
export function working(at: number, version: string | null) {
  const proved = { failures: 0, checkFailure: null, failure: null, lastFailure: null, budget: 'full' as const };
  return { ...proved, version, healthySince: at, isConfigOnTrial: false };
}

/** A life that ended although nobody asked, or because of the failure that is noted already. */
export function ended(life: LifeRecord, end: EndedLife) {
  const failure = life.failure ? withStderr(life.failure, end.stderrTail) : end.failure;
  return { ...failing(failure), ...endedAsAsked(life, end) };
}

/** A life that was ended on purpose. */
export function endedAsAsked({ healthySince }: LifeRecord, { at }: EndedLife) {
  return { endedAt: at, healthyForMs: healthySince === null ? 0 : at - healthySince, healthySince: null };
}

/** One more restart, counted against the intensity and the backoff. */
export function countRestart({ restarts, attempt, restart, restartHistory, endedAt }: JudgedLife) {
  const recent = restartHistory.filter((time) => endedAt - time < restart.windowMs);
  return { restarts: restarts + 1, attempt: attempt + 1, restartHistory: [...recent, endedAt] };
}

/** The next rung of the ladder, where there is a failure and a rung against it. */
export function nextStep(life: JudgedLife): RecoveryStep | undefined {
  const { failure, attempted, budget, recovery } = life;
  if (!failure) return undefined;
  if (isOverIntensity(life, CONFIG_RUNGS)) return undefined; // Also where each life has another configuration.
  const mayRestart = budget === 'full' && !isOverIntensity(life);
  const steps = recovery.steps.filter((step) => life.configId !== null || !isAboutConfig(step));
  return nextRecoveryStep({ failure, steps, attempted, mayRestart });
}

/** A rung is taken. */
export function taking({ attempted }: LifeRecord, step: RecoveryStep) {
  return { activeStep: step, attempted: [...new Set([...attempted, step])] };
}

/** The ladder begins anew: it worked for a while, somebody asked, or there is another configuration. */
export const NO_LADDER = { attempted: [], isConfigOnTrial: false } as const;

/** The configuration of a life that begins. */
export function configuredWith({ configId }: LifeRecord, next: string | null) {
  return configId === next ? {} : { configId: next, ...NO_LADDER };
}

/** `extra`: launches beyond those that the policy allows for the same thing. */
export function isOverIntensity({ restart, restartHistory, endedAt }: JudgedLife, extra = 0): boolean {
  const { maxRestarts, windowMs } = restart;
  return !admitRestart({ maxRestarts: maxRestarts + extra, windowMs }, restartHistory, endedAt).admitted;
}

export function nextVerdict({ failures, health, turns }: JudgedLife): HealthVerdict {
  return healthVerdict({ failures: failures + 1, failureThreshold: health.failureThreshold, busy: turns > 0 });
}

export function notReady(life: JudgedLife, limitMs: number, what = life.label): Failure {
  if (life.mode === 'external') return unavailable(life, `no proof that it works within ${limitMs} ms`);
  return { code: 'ERR_READY_TIMEOUT', message: `${what} not ready in ${limitMs}ms` };
}

/** Given up after too many failed checks, or, in the middle of a turn, after too long a time of them. */
export function unhealthyFor(life: JudgedLife, limitedBy: 'threshold' | 'grace'): Failure {
  const { label, failures, health, checkFailure } = life;
  const limit = limitedBy === 'grace' ? `${health.busyGraceMs} ms of checks` : `${failures} checks in a row`;
  const said = checkFailure === null ? '' : ` (${checkFailure})`;
  if (life.mode === 'external') return unavailable(life, checkFailure ?? `it failed ${limit}`);
  return {
    code: 'ERR_BACKEND_EXITED',
    reason: 'unhealthy',
    message: `${label} failed ${limit}${said}; it is being replaced.`,
  };
}

function unavailable({ label }: JudgedLife, reason: string): Failure {
  return {
    code: 'ERR_EXTERNAL_UNAVAILABLE',
    message: `External server unavailable (base_url=${label}): ${reason}`,
  };
}

export function overIntensity({ restart, failure }: JudgedLife): Failure {
  const limit = `${restart.maxRestarts} restarts in ${restart.windowMs} ms`;
  const message = `Gave up after ${limit}. Last failure: ${failure?.message ?? 'none'}`;
  return { code: 'ERR_RESTART_LIMIT', message, ...(failure ? { reason: failure.code } : {}) };
}

function withStderr(failure: Failure, stderrTail: string): Failure {
  return stderrTail === '' ? failure : { ...failure, message: `${failure.message}; stderr: ${stderrTail}` };
}
