import type { DriverEnvironment, RecoveryPort, RecoveryReport, StepOutcome } from '../../actors/ports.ts';
import { messageOf, SupervisorError } from '../../actors/errors.ts';
import { writeDiagnostics } from '../diagnostics.ts';
import { present } from '../json.ts';
import { Redactor } from '../process/redaction.ts';
import { stateDirectory } from '../state-directory.ts';
import type { HeldConfig } from './config/held-config.ts';
import type { LaunchOptions } from './options.ts';
import type { ResolvedRecovery } from './recovery-options.ts';
import type { ServerLife } from './server-life.ts';

export interface RecoveryPlace {
  readonly options: LaunchOptions;
  readonly recovery: ResolvedRecovery;
  readonly environment: DriverEnvironment;
  readonly config: HeldConfig;
  readonly life: () => ServerLife | undefined;
}

/** How much of the error output diagnostics carry, in characters. */
const STDERR_TAIL = 16_000;

/** The rungs of the ladder above the restart, for a server of ours. */
export class OpencodeRecovery implements RecoveryPort {
  readonly #place: RecoveryPlace;

  constructor(place: RecoveryPlace) {
    this.#place = place;
  }

  async captureDiagnostics(report: RecoveryReport): Promise<StepOutcome> {
    const { environment, recovery, life } = this.#place;
    const current = life();
    const path = await writeDiagnostics(
      {
        directory: stateDirectory(environment.stateDirectory),
        keep: recovery.keepArchives,
        wallMs: environment.clock.wallNow(),
        redactor: current?.redactor ?? new Redactor(),
      },
      report,
      { options: this.#options(), stderrTail: current?.stderrTail(STDERR_TAIL) ?? '' },
    );
    return { message: `What is known of the failure is in ${path}.`, path };
  }

  rollbackConfig(_: RecoveryReport, signal: AbortSignal): Promise<StepOutcome> {
    return this.#place.config.rollback(signal);
  }

  seedConfig(report: RecoveryReport, signal: AbortSignal): Promise<StepOutcome> {
    return this.#place.config.seed((asking) => this.#consent(report, asking), signal);
  }

  restoreConfig(): Promise<StepOutcome> {
    return this.#place.config.restore();
  }

  async proven(): Promise<void> {
    const config = this.#place.life()?.config;
    if (config) await this.#place.config.proven(config);
  }

  async #consent({ backendId, failure }: RecoveryReport, signal: AbortSignal): Promise<boolean> {
    const { recovery, options } = this.#place;
    if (!recovery.confirmSeed) return false;
    const request = { backend: backendId, reason: failure.message, ...present('path', options.configFile) };
    try {
      const answer: unknown = await recovery.confirmSeed(request, { signal });
      return answer === true;
    } catch (error) {
      throw new SupervisorError('ERR_INTERNAL', `confirmSeed failed: ${messageOf(error)}`);
    }
  }

  /** How it is started, without what may be secret. */
  #options(): object {
    const { env, config, password, ...shown } = this.#place.options;
    return {
      ...shown,
      env: Object.keys(env),
      config: config && Object.keys(config),
      hasPassword: password !== undefined,
      configId: this.#place.life()?.config?.id ?? null,
    };
  }
}
