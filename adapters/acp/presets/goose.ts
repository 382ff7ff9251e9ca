import type { AgentDefinition } from '../../../actors/ports.ts';
import { agentPool } from '../agent-pool.ts';
import type { AcpOptions } from '../options.ts';

/**
 * goose. Its own default mode runs everything without asking, so that no permission request would ever reach the host:
 * here it asks. Another mode is `env: { GOOSE_MODE: 'auto' }`, or the session's `mode`.
 */
export function goose(options: Partial<AcpOptions> = {}): AgentDefinition {
  const env = { GOOSE_MODE: 'approve', ...options.env };
  return agentPool({ command: 'goose', args: ['acp'], ...options, env });
}
