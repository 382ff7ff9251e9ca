import type { AgentDefinition } from '../../actors/ports.ts';
import { AcpDriver } from './driver.ts';
import { type AcpOptions, resolveAcp } from './options.ts';

/** A pool of one kind of agent. `files`: what it is to read, by the variable that names each. */
export function agentPool(options: AcpOptions, files: Readonly<Record<string, string>> = {}): AgentDefinition {
  const { launch, settings } = resolveAcp(options, files);
  return {
    runs: 'agents',
    kind: 'acp',
    mode: 'managed',
    settings,
    createDriver: (environment) => new AcpDriver(launch, environment),
  };
}
