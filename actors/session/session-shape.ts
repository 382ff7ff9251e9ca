import type { OpenSessionOptions } from '../contract/session.ts';
import type { SessionStatus } from '../contract/status.ts';
import type { DriverSessionRequest } from '../ports.ts';
import type { SessionRecord, SessionSettings } from './session-record.ts';

const SEPARATOR = '\0';
/** A chat with a backend. */
export const keyOf = (backendId: string, chatId: string): string => `${backendId}${SEPARATOR}${chatId}`;

export const chatOf = (key: string): string => key.slice(key.indexOf(SEPARATOR) + 1);

export function settingsOf(options: OpenSessionOptions, key: string): SessionSettings {
  const { backend: backendId, directory: _, resume: __, signal: ___, ...settings } = options;
  return { ...settings, backendId, chatId: chatOf(key) };
}

export function requestOf(options: OpenSessionOptions): DriverSessionRequest {
  const { directory, title, model, agent, mode, mcpServers, resume } = options;
  return {
    directory,
    ...(title === undefined ? {} : { title }),
    ...(model === undefined ? {} : { model }),
    ...(agent === undefined ? {} : { agent }),
    ...(mode === undefined ? {} : { mode }),
    ...(mcpServers === undefined ? {} : { mcpServers }),
    ...(resume === undefined || resume === 'auto' || resume === 'never' ? {} : { resume }),
  };
}

/** One session as plain JSON. */
export function statusOf(record: SessionRecord): SessionStatus {
  const { chatId, backendId, title, model, mode, agent } = record.settings;
  const { capabilities, metadata } = record.driver;
  return {
    id: record.id,
    chatId,
    backend: backendId,
    directory: record.driver.directory,
    agentSessionId: record.driver.agentSessionId,
    state: record.carrier.state,
    detail: record.carrier.detail,
    generation: record.carrier.generation,
    queued: record.queue.length,
    capabilities,
    ...(record.running ? { running: record.running.id } : {}),
    ...(mode === undefined ? {} : { mode }),
    ...(model === undefined ? {} : { model }),
    ...metadata,
    ...(title === undefined ? {} : { title }),
    ...(agent === undefined ? {} : { agent }),
    ...(record.restored ? { restored: record.restored } : {}),
  };
}
