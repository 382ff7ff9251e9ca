import type { Failure } from '../../machines/policies/failure-class.ts';
import type { BackendStatus, RecoveryStep } from '../contract/status.ts';

/** What is known of a failure when the ladder is climbed. Plain JSON. */
export interface RecoveryReport {
  readonly backendId: string;
  readonly failure: Failure;
  readonly attempted: readonly RecoveryStep[];
  readonly status: BackendStatus;
  /** The latest changes of state, the last one last. */
  readonly history: readonly {
    readonly from: string;
    readonly to: string;
    readonly reason: string;
    readonly at: string;
  }[];
}

/** What a rung did. A rung that could do nothing rejects, and the message says why. */
export interface StepOutcome {
  readonly message: string;
  /** The configuration that the next life has, where the rung changed it. */
  readonly configId?: string | null;
  /** The file that the rung wrote for people. */
  readonly path?: string;
}

/** The rungs of the ladder above the restart, and what they go back to. */
export interface RecoveryPort {
  captureDiagnostics(report: RecoveryReport): Promise<StepOutcome>;
  rollbackConfig(report: RecoveryReport, signal: AbortSignal): Promise<StepOutcome>;
  seedConfig(report: RecoveryReport, signal: AbortSignal): Promise<StepOutcome>;
  restoreConfig(): Promise<StepOutcome>;
  /** The configuration of the current life has worked for long enough to go back to it. */
  proven(): Promise<void>;
}
