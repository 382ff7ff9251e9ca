import type { McpServer } from './contract/session.ts';
import {
  expectObject,
  expectOneOf,
  expectString,
  expectStrings,
  expectTexts,
  invalidOption,
  optional,
} from './validation.ts';

/** Checks the option `mcpServers`. Throws `ERR_INVALID_OPTION`. */
export function expectMcpServers(given: unknown): readonly McpServer[] {
  if (!Array.isArray(given)) throw invalidOption('mcpServers', 'a list of MCP servers', given);
  for (const [index, server] of given.entries()) expectMcpServer(`mcpServers[${index}]`, server);
  return given as McpServer[];
}

function expectMcpServer(path: string, given: unknown): void {
  const server = expectObject(path, given, ['name', 'type', 'command', 'args', 'env', 'url', 'headers']);
  expectString(`${path}.name`, server['name']);
  if (server['url'] !== undefined && server['type'] === undefined)
    throw invalidOption(`${path}.type`, 'http or sse where there is a url', undefined);
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
