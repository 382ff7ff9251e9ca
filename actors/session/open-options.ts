import type { OpenSessionOptions } from '../contract/session.ts';
import { expectFunction, expectObject, expectString, invalidOption, optional } from '../validation.ts';

const KNOWN = [
  'backend',
  'directory',
  'chatId',
  'title',
  'model',
  'agent',
  'mode',
  'mcpServers',
  'resume',
  'signal',
  'onPermission',
  'onQuestion',
] as const;

/** Checks the options of `openSession`. Throws `ERR_INVALID_OPTION`. */
export function expectOpenOptions(options: OpenSessionOptions): OpenSessionOptions {
  const given = expectObject('openSession()', options, KNOWN);
  expectString('backend', given['backend']);
  expectString('directory', given['directory']);
  for (const name of ['chatId', 'title', 'model', 'agent', 'mode', 'resume'] as const) {
    optional(given[name], (value) => expectString(name, value));
  }
  for (const name of ['onPermission', 'onQuestion'] as const) {
    optional(given[name], (value) => expectFunction(name, value));
  }
  if (given['signal'] !== undefined && !(given['signal'] instanceof AbortSignal)) {
    throw invalidOption('signal', 'an AbortSignal', given['signal']);
  }
  if (given['mcpServers'] !== undefined && !Array.isArray(given['mcpServers'])) {
    throw invalidOption('mcpServers', 'a list of MCP servers', given['mcpServers']);
  }
  return options;
}
