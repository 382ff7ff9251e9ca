import type { McpServer } from '../../actors/ports.ts';

const named = (values: Record<string, string> = {}) => Object.entries(values).map(([name, value]) => ({ name, value }));

/** MCP servers as agents take them. */
export function toAcpServers(servers: readonly McpServer[]) {
  return servers.map((server) =>
    'command' in server
      ? { name: server.name, command: server.command, args: server.args ?? [], env: named(server.env) }
      : { type: server.type, name: server.name, url: server.url, headers: named(server.headers) },
  );
}
