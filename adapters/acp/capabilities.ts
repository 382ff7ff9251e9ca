import { type JsonFields, record } from '../json.ts';

/** Whether the agent says that its sessions can do it: an object, also an empty one, says yes. */
export function hasCapability(capabilities: JsonFields, name: string): boolean {
  const capability = record(capabilities['sessionCapabilities'])[name];
  return typeof capability === 'object' && capability !== null;
}
