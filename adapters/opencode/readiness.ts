import { request as httpRequest } from 'node:http';
import { SupervisorError } from '../../actors/errors.ts';
import { expectVersion, type VersionRules } from './accepted-version.ts';
import { ask, clientFor, RequestFailure, type ServerAddress, toSupervisorError } from './requests.ts';

/** A server that answered once, but not well, is asked again this often. */
const ATTEMPTS = 3;

/**
 * Proves that the server is ours and works: it knows our password and refuses without it, it is of an accepted version,
 * and a route about its own directory answers (a broken configuration passes everything else).
 */
export async function verifyServer(
  address: ServerAddress,
  options: VersionRules & { readonly cwd: string; readonly command: string },
  signal: AbortSignal,
): Promise<{ version: string }> {
  const version = await repeated(signal, () => authenticatedHealth(address, signal));
  await expectRefusal(address, signal);
  expectVersion(version, options, `"${options.command}"`);
  await repeated(signal, () => probeDirectory(address, options.cwd, signal));
  return { version };
}

/** Whether a directory's configuration works. Rejects with `ERR_CONFIG_INVALID` where it does not. */
export async function probeDirectory(
  address: ServerAddress,
  directory: string,
  signal: AbortSignal,
  problem = `opencode refuses to work in ${directory}`,
): Promise<void> {
  const client = clientFor(address, directory);
  const what = `GET /session/status for ${directory}`;
  await ask(what, signal, (request) => client.session.status({ directory }, request)).catch((error: unknown) => {
    throw toSupervisorError(error, problem);
  });
}

/** Whether the server answers now. Rejects with a reason. */
export async function probeHealth(address: ServerAddress, signal: AbortSignal, limitMs?: number): Promise<string> {
  const client = clientFor(address);
  const health = await ask('GET /global/health', signal, (request) => client.global.health(request), limitMs);
  const answer: { healthy?: unknown; version?: unknown } = health;
  if (answer.healthy !== true) throw new SupervisorError('ERR_PROTOCOL', '/global/health reported unhealthy');
  return typeof answer.version === 'string' ? answer.version : '';
}

async function authenticatedHealth(address: ServerAddress, signal: AbortSignal): Promise<string> {
  return probeHealth(address, signal).catch((error: unknown) => {
    throw toSupervisorError(error, 'The server is up, but its health is not proved');
  });
}

/** Whoever answers without the password is not our server, or leaves it open to every page and program. */
async function expectRefusal({ baseUrl }: ServerAddress, signal: AbortSignal): Promise<void> {
  const status = await statusOf(`${baseUrl}/global/health`, signal);
  if (status === 401 || status === 403) return;
  const message = `The server at ${baseUrl} answers ${status} without a password; expected 401. It is not protected, or not ours.`;
  throw new SupervisorError('ERR_PROTOCOL', message, { reason: 'unprotected' });
}

function statusOf(url: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent: false, signal }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.once('error', (cause) => reject(new RequestFailure('GET /global/health', { cause })));
    request.end();
  });
}

/** A server error, or no answer at all, may pass; a refusal does not. */
async function repeated<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      const mayPass =
        error instanceof SupervisorError && (error.code === 'ERR_PROTOCOL' || error.code === 'ERR_BACKEND_EXITED');
      if (!mayPass || count === ATTEMPTS || signal.aborted) throw error;
    }
  }
}
