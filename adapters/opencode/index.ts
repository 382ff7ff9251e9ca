import type { BackendDefinition } from '../../actors/ports.ts';
import { OpencodeDriver, type OpencodeLease } from './driver.ts';
import { ExternalServer } from './external-server.ts';
import { ManagedServer } from './managed-server.ts';
import { type OpencodeOptions, resolveOptions } from './options.ts';

export { decodeEvent, type OpencodeEvent } from './decode-event.ts';
export type { RecoveryOptions, SeedRequest } from './recovery-options.ts';
export type { StreamOptions } from './stream-options.ts';
export type { OpencodeLease, OpencodeOptions };

/**
 * An opencode server as a backend: a `opencode serve` that is spawned, supervised, restarted and stopped, or, with `url`,
 * one that somebody else runs.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for options that are unknown, malformed or contradictory.
 */
export function opencode(options: OpencodeOptions = {}): BackendDefinition<OpencodeLease> {
  const { server, settings, recovery, compactionThreshold } = resolveOptions(options);
  return {
    runs: 'server',
    kind: 'opencode',
    mode: 'external' in server ? 'external' : 'managed',
    settings,
    createDriver: (environment) => {
      const source =
        'external' in server
          ? new ExternalServer(server.external)
          : new ManagedServer(server.launch, recovery, environment);
      return new OpencodeDriver(source, environment, compactionThreshold);
    },
  };
}
