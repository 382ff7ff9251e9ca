import type { AgentDefinition } from '../../../actors/ports.ts';
import { agentPool } from '../agent-pool.ts';
import type { AcpOptions } from '../options.ts';

/** What a host that itself runs under opencode would pass on. */
const NOT_INHERITED = { OPENCODE: undefined, OPENCODE_PID: undefined, OPENCODE_RUN_ID: undefined };

/** opencode as an agent. It takes some seconds to start, and many of them at once take longer. */
export function opencodeAcp(options: Partial<AcpOptions> = {}): AgentDefinition {
  const env = { ...NOT_INHERITED, ...options.env };
  return agentPool({ command: 'opencode', args: ['acp'], initializeTimeoutMs: 30_000, ...options, env });
}
