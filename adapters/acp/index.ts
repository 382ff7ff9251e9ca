import type { AgentDefinition } from '../../actors/ports.ts';
import { agentPool } from './agent-pool.ts';
import type { AcpOptions } from './options.ts';

export type { AcpOptions };
export { goose } from './presets/goose.ts';
export { opencodeAcp } from './presets/opencode-acp.ts';
export { qwen } from './presets/qwen.ts';

/**
 * Agents that speak the Agent Client Protocol as a backend: one warm process for each conversation, reused for every turn.
 *
 * @throws SupervisorError `ERR_INVALID_OPTION` for options that are unknown, malformed or contradictory.
 */
export function acp(options: AcpOptions): AgentDefinition {
  return agentPool(options);
}
