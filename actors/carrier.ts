import type { Failure } from '../machines/policies/failure-class.ts';
import type { LifecycleState } from './contract/status.ts';
import type { DriverSession } from './ports.ts';

/** What the turns of a session run on: a server and its event stream, or an agent. */
export interface Carrier {
  readonly state: LifecycleState;
  /** The path of the innermost state. */
  readonly detail: string;
  readonly generation: number;
  /** A new process is wanted as soon as no turn runs: no further one begins. */
  readonly isDraining: boolean;
  /** The process works. */
  readonly isAvailable: boolean;
  /** Prompts may be sent, and what is said of them arrives. */
  readonly isOpen: boolean;
  /** Why it does not run, and a prompt does not make it run. */
  readonly gone: Failure | undefined;
  /** Why nothing runs, and nothing comes back by itself. */
  readonly down: Failure | undefined;
  /** Why nothing arrives, though something may run. */
  readonly deaf: Failure | undefined;
  /** Wakes whatever sleeps: an explicit start. */
  wake(): void;
  /** What is known of the running turns is to be asked for, soon. */
  audit(): void;
  /** Turns and waiters came or went. */
  changeDemand(change: { readonly turns?: number; readonly waiters?: number }): void;
  /** The session ignored a cancel: ends what works on it, and the whole process where nothing less helps. */
  retire(session: DriverSession): void;
}
