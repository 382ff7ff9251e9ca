import type { GroupReport } from './group-machine.ts';
import type { HealthReport } from './health-machine.ts';
import type { Failure } from './policies/failure-class.ts';
import type { LifeRecord } from './policies/process-life.ts';
import type { RecoveryStep } from './policies/recovery-ladder.ts';
import type { LifeSettings } from './settings.ts';

/** What the chart of a server or an agent is started with. A server is its backend; of agents a backend has several. */
export interface LifeInput extends LifeSettings {
  readonly backendId: string;
  readonly agentId: string | null;
  /** What is known from an actor before this one: lives go on counting, and who needs it still does. */
  readonly carried?: Pick<LifeRecord, 'generation' | 'turns' | 'waiters'>;
}

export interface LifeContext extends LifeInput, LifeRecord {
  /** Where a server listens. */
  readonly port: number | null;
  readonly streamGroups: readonly string[];
}

/** Commands that a server and an agent know. */
export type LifeCommand =
  | { readonly type: 'life.start' }
  | { readonly type: 'life.stop' }
  | { readonly type: 'life.restart'; readonly reason: string }
  /** A new life when no turn runs: what it is started with has changed. */
  | { readonly type: 'life.reload' }
  /** The running life took over another configuration. */
  | { readonly type: 'life.reconfigured'; readonly configId: string | null }
  /** Of a server that others run: somebody who needs it has asked, and got no answer. */
  | { readonly type: 'life.unreachable'; readonly reason: string }
  | { readonly type: 'life.checkNow' }
  /** The host slept: what failed before says nothing, and who is up is asked now. */
  | { readonly type: 'life.woke' }
  /** Of an agent: its place is wanted, or it was not used for long. Who works, or is needed, stays. */
  | { readonly type: 'life.evict'; readonly reason: string }
  | { readonly type: 'life.demandChanged'; readonly turns: number; readonly waiters: number };

/** Facts about one process life. Every fact carries the monotonic time at which it held, in milliseconds. */
type LifeFact =
  | { readonly type: 'process.spawned'; readonly at: number; readonly pid: number }
  | { readonly type: 'process.ended'; readonly at: number; readonly failure: Failure; readonly stderrTail: string }
  | HealthReport;

export type ServerEvent =
  | LifeCommand
  | LifeFact
  | { readonly type: 'server.openStream'; readonly groupId: string; readonly streamId: string; readonly input: unknown }
  | { readonly type: 'server.closeStream'; readonly groupId: string; readonly streamId: string }
  | {
      readonly type: 'process.prepared';
      readonly at: number;
      readonly port: number;
      readonly configId: string | null;
    }
  | { readonly type: 'process.listening'; readonly at: number; readonly port: number }
  | { readonly type: 'verify.passed'; readonly at: number; readonly version: string }
  | { readonly type: 'verify.failed'; readonly at: number; readonly failure: Failure }
  | StepReport
  | GroupReport;

/** What a rung of the ladder tells: it is done, or there was nothing that it could do. */
export type StepReport =
  | { readonly type: 'step.done'; readonly at: number; readonly message: string; readonly configId?: string | null }
  | { readonly type: 'step.impossible'; readonly at: number; readonly message: string };

/** What a rung is started with. */
export interface StepInput extends LifeSubject {
  readonly failure: Failure | null;
  readonly attempted: readonly RecoveryStep[];
}

export type AgentEvent =
  | LifeCommand
  | LifeFact
  | { readonly type: 'handshake.done'; readonly at: number; readonly version: string | null }
  | { readonly type: 'handshake.failed'; readonly at: number; readonly failure: Failure }
  | { readonly type: 'sessions.opened'; readonly at: number }
  | { readonly type: 'sessions.failed'; readonly at: number; readonly failure: Failure };

/** Which life of what: all that the actors need to find their resources. */
export interface LifeSubject {
  readonly backendId: string;
  readonly agentId: string | null;
  readonly generation: number;
}

export interface StreamPlace {
  readonly groupId: string;
  readonly streamId: string;
}
