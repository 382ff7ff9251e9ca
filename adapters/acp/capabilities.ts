import type { SessionCapabilities } from '../../actors/ports.ts';
import { type JsonFields, record } from '../json.ts';

/** Whether the agent says that its sessions can do it: an object, also an empty one, says yes. */
export function hasCapability(advertised: JsonFields, name: string): boolean {
  const capability = record(advertised['sessionCapabilities'])[name];
  return typeof capability === 'object' && capability !== null;
}

/** What a session can do, of what its agent advertises and of what can be chosen in it. */
export function sessionCapabilities(
  advertised: JsonFields,
  choices: { readonly mode: boolean; readonly model: boolean },
): SessionCapabilities {
  return {
    resume: advertised['loadSession'] === true || hasCapability(advertised, 'resume'),
    fork: hasCapability(advertised, 'fork'),
    listSessions: hasCapability(advertised, 'list'),
    setModel: choices.model,
    setMode: choices.mode,
    images: record(advertised['promptCapabilities'])['image'] === true,
    files: true,
    mcpServers: true,
    questions: true,
    deleteSession: hasCapability(advertised, 'delete'),
  };
}
