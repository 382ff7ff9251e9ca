import { SupervisorError } from '../../actors/errors.ts';
import type { Configured, DriverEnvironment, LifeObserver, ProcessLife, RecoveryPort } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { stateDirectory } from '../state-directory.ts';
import { ConfigArchive } from './config/config-archive.ts';
import { FileConfig } from './config/file-config.ts';
import type { HeldConfig, LaunchConfig } from './config/held-config.ts';
import { LastKnownGood } from './config/last-known-good.ts';
import { ObjectConfig } from './config/object-config.ts';
import { expectConfig, type LaunchOptions } from './options.ts';
import { verifyServer } from './readiness.ts';
import { OpencodeRecovery } from './recovery.ts';
import type { ResolvedRecovery } from './recovery-options.ts';
import type { ServerAddress } from './requests.ts';
import { ServerLife } from './server-life.ts';
import type { ServerSource } from './server-source.ts';

/** A server of ours: its process lives, and the configuration that each is started with. */
export class ManagedServer implements ServerSource {
  readonly isOurs = true;
  readonly recovery: RecoveryPort;
  readonly directory: string;
  readonly #options: LaunchOptions;
  readonly #environment: DriverEnvironment;
  readonly #config: HeldConfig;
  #life: ServerLife | undefined;

  constructor(options: LaunchOptions, recovery: ResolvedRecovery, environment: DriverEnvironment) {
    this.#options = options;
    this.#environment = environment;
    this.directory = options.cwd;
    this.#config = heldConfig(options, recovery, environment);
    this.recovery = new OpencodeRecovery({
      options,
      recovery,
      environment,
      config: this.#config,
      life: () => this.#life,
    });
  }

  get address(): ServerAddress | undefined {
    return this.#life?.address;
  }

  get pid(): number | undefined {
    return this.#life?.pid;
  }

  get generation(): number {
    return this.#life?.generation ?? 0;
  }

  launch(generation: number, observer: LifeObserver): ProcessLife {
    const options = this.#options;
    const environment = this.#environment;
    this.#life = new ServerLife({ options, environment, held: this.#config, generation, observer });
    return this.#life;
  }

  async verify(signal: AbortSignal): Promise<{ version: string }> {
    const life = this.#life;
    if (!life?.address) throw new SupervisorError('ERR_BACKEND_EXITED', 'The server is not running.');
    try {
      const verified = await verifyServer(life.address, { ...this.#options, command: life.command }, signal);
      this.#config.accepted();
      return verified;
    } catch (error) {
      throw this.#ofConfig(error);
    }
  }

  get isRunning(): boolean {
    return this.#life?.isAlive === true && this.address !== undefined;
  }

  expectAlive(): void {
    if (this.#life?.isAlive) return;
    throw new SupervisorError('ERR_BACKEND_EXITED', 'The process is no longer running.');
  }

  configure(config: unknown): Configured {
    if (this.#config instanceof ObjectConfig) {
      const configId = this.#config.replace(expectConfig(config));
      return { configId, isNew: !this.isRunning || this.#life?.config?.id !== configId };
    }
    throw invalidOption('reload()', 'no argument: the backend reads a configFile; write that file first', config);
  }

  reread(): Promise<LaunchConfig> {
    return this.#config.load();
  }

  reconfigured(config: LaunchConfig): void {
    this.#life?.reconfigured(config);
  }

  /** A configuration that is not ours is not ours to change. */
  #ofConfig(error: unknown): unknown {
    if (!(error instanceof SupervisorError) || error.code !== 'ERR_CONFIG_INVALID') return error;
    const reason = this.#config.owns(error.reason) ? 'own-config' : 'foreign-config';
    return new SupervisorError('ERR_CONFIG_INVALID', error.message, { reason, cause: error });
  }
}

function heldConfig(
  { config, configFile }: LaunchOptions,
  { keepArchives: keep }: ResolvedRecovery,
  { backendId, clock, stateDirectory: given }: DriverEnvironment,
): HeldConfig {
  const directory = stateDirectory(given);
  const archive = new ConfigArchive({
    stateDirectory: directory,
    backendId,
    keep,
    wallNow: () => clock.wallNow(),
  });
  if (configFile === undefined) return new ObjectConfig(config, archive);
  return new FileConfig(configFile, new LastKnownGood(directory, configFile), archive);
}
