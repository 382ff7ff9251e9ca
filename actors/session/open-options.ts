import type { OpenSessionOptions } from '../contract/session.ts';
import {
  expectAbsolutePath,
  expectFunction,
  expectObject,
  expectOneOf,
  expectSignal,
  expectString,
  expectStrings,
  expectTexts,
  invalidOption,
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

function expectMcpServers(given: unknown): void {
  if (!Array.isArray(given)) throw invalidOption('mcpServers', 'a list of MCP servers', given);
  for (const [index, server] of given.entries()) expectMcpServer(`mcpServers[${index}]`, server);
}

function expectMcpServer(path: string, given: unknown): void {
  const server = expectObject(path, given, ['name', 'type', 'command', 'args', 'env', 'url', 'headers']);
  expectString(`${path}.name`, server['name']);
  const type = expectOneOf(`${path}.type`, server['type'] ?? 'stdio', ['stdio', 'http', 'sse']);
  if (type === 'stdio') {
    expectString(`${path}.command`, server['command']);
    optional(server['args'], (args) => expectStrings(`${path}.args`, args));
    optional(server['env'], (env) => expectTexts(`${path}.env`, env));
    return;
  }
  expectString(`${path}.url`, server['url']);
  optional(server['headers'], (headers) => expectTexts(`${path}.headers`, headers));
  if (server['command'] !== undefined) throw invalidOption(`${path}.type`, 'stdio where there is a command', type);
}
