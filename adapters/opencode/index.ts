import type { BackendDefinition } from '../../actors/ports.ts';
import { OpencodeDriver, type OpencodeLease } from './driver.ts';
import { type OpencodeOptions, resolveOptions } from './options.ts';

export { decodeEvent, type OpencodeEvent } from './decode-event.ts';
export type { OpencodeLease, OpencodeOptions };

/**
 * A managed `opencode serve` as a backend: spawned, supervised, restarted, stopped.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for options that are unknown, malformed or contradictory.
 */
export function opencode(options: OpencodeOptions = {}): BackendDefinition<OpencodeLease> {
  const { launch, settings } = resolveOptions(options);
  return {
    runs: 'server',
    kind: 'opencode',
    mode: 'managed',
    settings,
    createDriver: (environment) => new OpencodeDriver(launch, environment),
  };
}
