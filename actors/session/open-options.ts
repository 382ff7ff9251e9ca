import type { OpenSessionOptions } from '../contract/session.ts';
import { expectMcpServers } from '../mcp-server-shape.ts';
import {
  expectAbsolutePath,
  expectFunction,
  expectObject,
  expectSignal,
  expectString,
  optional,
} from '../validation.ts';

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
  expectAbsolutePath('directory', given['directory']);
  for (const name of ['chatId', 'title', 'model', 'agent', 'mode', 'resume'] as const) {
    optional(given[name], (value) => expectString(name, value));
  }
  for (const name of ['onPermission', 'onQuestion'] as const) {
    optional(given[name], (value) => expectFunction(name, value));
  }
  optional(given['signal'], (value) => expectSignal('signal', value));
  optional(given['mcpServers'], expectMcpServers);
  return options;
}
