import type { BackoffInput } from '../machines/backoff-machine.ts';
import type { Failure } from '../machines/policies/failure-class.ts';
import type { AgentRuntime } from './agent/agent-runtime.ts';
import type { ServerBackend } from './server/server-backend.ts';
import type { Clock, Logger, SupervisorEvents } from './contract/supervisor.ts';
import type { SessionRecord } from './session/session-record.ts';
import type { StreamRuntime } from './stream/stream-runtime.ts';
import type { TurnRuntime } from './turn/turn-runtime.ts';

/** A turn with the session that it is a turn of. */
export interface TurnEntry {
  readonly turn: TurnRuntime;
  readonly session: SessionRecord;
  /** Closes the turn's pending requests. `tell`: the agent still waits for the answers. */
  readonly withdrawDecisions: (options: { readonly tell: boolean }) => void;
  /** Its prompt is about to be sent: resolves when that would not be forgotten, or soon after. Never rejects. */
  readonly remember: () => Promise<void>;
}

export interface StreamChange {
  readonly to: string;
  readonly event: { readonly type: string };
  readonly failure: Failure | null;
}

/** Where the actors of the charts find their resources: charts know ids, and nothing else. */
export interface Registry {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  server(backendId: string): ServerBackend;
  agent(backendId: string, agentId: string | null): AgentRuntime;
  stream(backendId: string, streamId: string): StreamRuntime;
  turn(turnId: string): TurnEntry;
  /** Tells the host what it should look at; nothing stops for it. */
  warn(warning: SupervisorEvents['warning']): void;
  backoffDelay(input: BackoffInput): number;
}
