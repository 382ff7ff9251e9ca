import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import type { BackendSession, DriverSessionRequest } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { isoTime, record, text } from '../json.ts';
import { ask, type OpencodeClient, toSupervisorError } from './requests.ts';
import type { SessionDefaults } from './session.ts';

/** [opencode] The agent of a prompt that names none, in a session that had none. */
const BUILT_IN_AGENT = 'build';

/** The session to continue, or a new one. */
export function sessionFor(client: OpencodeClient, request: DriverSessionRequest, signal: AbortSignal) {
  if (request.resume === undefined) return create(client, request, signal);
  return find(client, request.resume, request, signal);
}

async function create(client: OpencodeClient, { directory, title }: DriverSessionRequest, signal: AbortSignal) {
  const body = { directory, ...(title === undefined ? {} : { title }) };
  return ask('POST /session', signal, (options) => client.session.create(body, options)).catch(
    rethrow('The session was not created'),
  );
}

async function find(
  client: OpencodeClient,
  sessionID: string,
  { directory }: DriverSessionRequest,
  signal: AbortSignal,
) {
  if (!sessionID.startsWith('ses'))
    throw invalidOption('resume', "'auto', 'never' or an opencode session id (ses_…)", sessionID);
  const what = `The session ${sessionID} cannot be continued`;
  return ask('GET /session/{id}', signal, (options) => client.session.get({ sessionID, directory }, options)).catch(
    rethrow(what),
  );
}

/** The session's own model and agent, or else those of the configuration. */
export async function defaultsOf(
  client: OpencodeClient,
  directory: string,
  session: object,
  signal: AbortSignal,
): Promise<SessionDefaults> {
  const config = record(
    await ask('GET /config', signal, (options) => client.config.get({ directory }, options)).catch(
      rethrow('The configuration could not be read'),
    ),
  );
  const known = record(session);
  const last = record(known['model']);
  const [providerId, modelId] = [text(last['providerID']), text(last['id'])];
  const model = providerId !== undefined && modelId !== undefined ? `${providerId}/${modelId}` : text(config['model']);
  const agent = text(known['agent']) ?? text(config['default_agent']) ?? BUILT_IN_AGENT;
  return { agent, ...(model === undefined ? {} : { model }) };
}

/** The server takes any directory, also one that does not exist; a prompt there fails in odd ways. */
export async function expectWorktree(directory: string, isOurs: boolean): Promise<void> {
  if (!isAbsolute(directory)) throw invalidOption('directory', 'an absolute path', directory);
  if (!isOurs) return; // It may run where we cannot look.
  const found = await stat(directory).catch(() => undefined);
  if (!found?.isDirectory())
    throw invalidOption('directory', 'an existing directory', `${found ? 'a file' : 'nothing'} at ${directory}`);
}

export function rethrow(what: string): (error: unknown) => never {
  return (error) => {
    throw toSupervisorError(error, what);
  };
}

export function toBackendSession(session: Readonly<Record<string, unknown>>): BackendSession {
  const updatedAt = isoTime(record(session['time'])['updated']);
  const title = text(session['title']);
  const directory = text(session['directory']);
  return {
    id: text(session['id']) ?? '',
    ...(title === undefined ? {} : { title }),
    ...(directory === undefined ? {} : { directory }),
    ...(updatedAt === undefined ? {} : { updatedAt }),
  };
}
