import { createHash } from 'node:crypto';
import { SupervisorError } from '../../../actors/errors.ts';
import type { StepOutcome } from '../../../actors/ports.ts';

/** The configuration that one process life is started with. */
export interface LaunchConfig {
  /** Tells contents apart; null where there is none of ours. */
  readonly id: string | null;
  /** Travels in the environment. */
  readonly object?: Readonly<Record<string, unknown>>;
  /** Is read by the server. */
  readonly file?: string;
  /** Byte for byte: what does not work may be no text at all. */
  readonly content: Uint8Array;
}

/** Whether the host agrees that an empty configuration takes the place of one that does not work. */
export type Consent = (signal: AbortSignal) => Promise<boolean>;

/** Who holds the configuration of a backend, and can go back to one that worked. A rung that can do nothing rejects. */
export interface HeldConfig {
  load(): Promise<LaunchConfig>;
  /** Whether a complaint of the server is about this one. */
  owns(path: string | undefined): boolean;
  /** A server works with it: what the rungs found before is history. */
  accepted(): void;
  /** It worked for long enough to go back to it. */
  proven(config: LaunchConfig): Promise<void>;
  rollback(signal: AbortSignal): Promise<StepOutcome>;
  seed(consent: Consent, signal: AbortSignal): Promise<StepOutcome>;
  /** Puts back what the rungs found. */
  restore(): Promise<StepOutcome>;
}

/** [opencode] A configuration that says nothing. Nobody wants to go back to it: it has no rule at all. */
export const SEED = { $schema: 'https://opencode.ai/config.json' } as const;

/** A rung that can do nothing, and why. */
export const impossible = (message: string) => new SupervisorError('ERR_UNSUPPORTED', message);

export const idOf = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');
