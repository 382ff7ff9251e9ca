import type { BackendDefinition } from '../../actors/ports.ts';
import { AcpDriver } from './driver.ts';
import { type AcpOptions, resolveAcp } from './options.ts';

export type { AcpOptions };

/**
 * Agents that speak the Agent Client Protocol as a backend: one warm process for each conversation, reused for every turn.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for options that are unknown, malformed or contradictory.
 */
export function acp(options: AcpOptions): BackendDefinition<never> {
  const { launch, settings } = resolveAcp(options);
  return {
    runs: 'agents',
    kind: 'acp',
    mode: 'managed',
    settings,
    createDriver: (environment) => new AcpDriver(launch, environment),
  };
}
