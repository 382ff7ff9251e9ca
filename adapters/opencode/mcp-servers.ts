import type { McpServer } from '../../actors/ports.ts';
import { record } from '../json.ts';
import { ask, type OpencodeClient } from './requests.ts';

/** [opencode] MCP servers belong to the running server's directory: they are gone with its process, and with a dispose. */
export async function addMcpServers(
  client: OpencodeClient,
  directory: string,
  servers: readonly McpServer[],
  signal: AbortSignal,
): Promise<void> {
  for (const server of servers) {
    const body = { directory, name: server.name, config: configOf(server) };
    await ask(`POST /mcp (${server.name})`, signal, (options) => client.mcp.add(body, options));
  }
}

/** Adds those that the directory does not have, or no longer. */
export async function restoreMcpServers(
  client: OpencodeClient,
  directory: string,
  servers: readonly McpServer[],
  signal: AbortSignal,
): Promise<void> {
  if (servers.length === 0) return;
  const present = record(await ask('GET /mcp', signal, (options) => client.mcp.status({ directory }, options)));
  const missing = servers.filter(({ name }) => !Object.hasOwn(present, name));
  await addMcpServers(client, directory, missing, signal);
}

function configOf(server: McpServer) {
  return 'command' in server
    ? { type: 'local' as const, command: [server.command, ...(server.args ?? [])], environment: server.env ?? {} }
    : { type: 'remote' as const, url: server.url, headers: server.headers ?? {} };
}
