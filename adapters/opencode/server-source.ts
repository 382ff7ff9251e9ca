import type { Configured, LifeObserver, ProcessLife, RecoveryPort } from '../../actors/ports.ts';
import type { LaunchConfig } from './config/held-config.ts';
import type { ServerAddress } from './requests.ts';

/** Whose server it is, and how its current life is reached. */
export interface ServerSource {
  /** We started it, on this machine. */
  readonly isOurs: boolean;
  readonly address: ServerAddress | undefined;
  readonly pid: number | undefined;
  readonly generation: number;
  /** A directory that the server answers for; absent: its own. */
  readonly directory: string | undefined;
  readonly recovery: RecoveryPort | undefined;
  launch(generation: number, observer: LifeObserver): ProcessLife;
  verify(signal: AbortSignal): Promise<{ version: string }>;
  /** Something runs that could be asked. */
  readonly isRunning: boolean;
  /** Throws where it is known, without asking, that nobody would answer. */
  expectAlive(): void;
  /** Another configuration, from the next life on. Throws where that is not possible. */
  configure(config: unknown): Configured;
  /** The configuration that a server would read now. Rejects where there is none of ours. */
  reread(): Promise<LaunchConfig>;
  /** The running life works with another configuration than it was started with. */
  reconfigured(config: LaunchConfig): void;
}
