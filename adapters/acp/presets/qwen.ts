import type { AgentDefinition } from '../../../actors/ports.ts';
import { agentPool } from '../agent-pool.ts';
import type { AcpOptions } from '../options.ts';

/** Where a user's own settings say nothing. */
const DEFAULTS = { privacy: { usageStatisticsEnabled: false } };

/**
 * qwen. It would start itself again as a second process, which takes twice the time and the memory and may outlive the
 * first; and it would report its usage to its maker. Here it does neither, unless the user's own settings say so.
 */
export function qwen(options: Partial<AcpOptions> = {}): AgentDefinition {
  const env = { QWEN_CODE_NO_RELAUNCH: '1', ...options.env };
  const files = { QWEN_CODE_SYSTEM_DEFAULTS_PATH: JSON.stringify(DEFAULTS) };
  return agentPool({ command: 'qwen', args: ['--acp'], ...options, env }, files);
}
