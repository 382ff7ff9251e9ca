import type { RecoveryStep } from '../../actors/ports.ts';
import {
  expectCount,
  expectFunction,
  expectObject,
  expectOneOf,
  invalidOption,
  optional,
} from '../../actors/validation.ts';
import { duration } from '../life-options.ts';

/** A configuration does not work, and nothing is known that did. */
export interface SeedRequest {
  readonly backend: string;
  /** The file that would be replaced; absent where the configuration was given as an object. */
  readonly path?: string;
  /** What failed, for people. */
  readonly reason: string;
}

/** What is tried against a server that does not work. */
export interface RecoveryOptions {
  /**
   * The rungs that may be taken. Default: all. `restart` and `capture-diagnostics` answer a crash; `rollback-config` and
   * `seed-config` only a configuration that is, or may be, the reason.
   */
  steps?: RecoveryStep[];
  /**
   * Asked before a configuration is replaced by an empty one: with every rule that it holds, it would no longer count.
   * Default: never. Within five minutes.
   */
  confirmSeed?: (request: SeedRequest, context: { signal: AbortSignal }) => boolean | Promise<boolean>;
  /** Broken configurations, and diagnostics, that are kept. Default 5. */
  keepArchives?: number;
  /** A configuration that worked for this long is one to go back to, in milliseconds. Default 60_000. */
  provenAfterMs?: number;
}

export interface ResolvedRecovery {
  readonly steps: readonly RecoveryStep[];
  readonly confirmSeed: NonNullable<RecoveryOptions['confirmSeed']> | undefined;
  readonly keepArchives: number;
  readonly provenAfterMs: number;
}

const STEPS = ['restart', 'capture-diagnostics', 'rollback-config', 'seed-config'] as const;

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveRecovery(value: unknown): ResolvedRecovery {
  const given = expectObject('recovery', value, ['steps', 'confirmSeed', 'keepArchives', 'provenAfterMs']);
  optional(given['confirmSeed'], (candidate) => expectFunction('recovery.confirmSeed', candidate));
  return {
    steps: optional(given['steps'], expectSteps) ?? STEPS,
    confirmSeed: given['confirmSeed'] as ResolvedRecovery['confirmSeed'],
    keepArchives: optional(given['keepArchives'], (count) => expectCount('recovery.keepArchives', count, 1)) ?? 5,
    provenAfterMs: duration(given, 'provenAfterMs', 60_000, 'recovery.'),
  };
}

function expectSteps(value: unknown): readonly RecoveryStep[] {
  if (!Array.isArray(value)) throw invalidOption('recovery.steps', `an array of ${STEPS.join(', ')}`, value);
  return value.map((step, index) => expectOneOf(`recovery.steps[${index}]`, step, STEPS));
}
