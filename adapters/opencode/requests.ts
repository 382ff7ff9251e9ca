import { createOpencodeClient, type OpencodeClient } from '@opencode-ai/sdk/v2/client';
import { SupervisorError } from '../../actors/errors.ts';
import { list, record, text } from '../json.ts';

export type { OpencodeClient };

/** How the current life of a server is reached. */
export interface ServerAddress {
  readonly baseUrl: string;
  readonly username: string;
  /** Absent where the server asks for none. */
  readonly password?: string;
}

/** What the SDK resolves to when it is not asked to throw. */
interface Answer<T> {
  readonly data?: T | undefined;
  readonly error?: unknown;
  readonly response?: Response | undefined;
}

/** A request takes at most this long, in milliseconds: a cold directory boots in a few seconds. */
const REQUEST_LIMIT_MS = 30_000;

/** The headers that prove who we are. */
export function credentials({ username, password }: ServerAddress): Readonly<Record<string, string>> {
  if (password === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

/** The SDK's client for a server; `directory` is what its requests are about unless they say otherwise. */
export function clientFor(address: ServerAddress, directory?: string): OpencodeClient {
  return createOpencodeClient({
    baseUrl: address.baseUrl,
    headers: credentials(address),
    ...(directory === undefined ? {} : { directory }),
  });
}

interface FailureDetails {
  readonly status?: number | undefined;
  readonly body?: unknown;
  readonly cause?: unknown;
  readonly abandoned?: boolean;
}

/** A request that the server answered with an error, or did not answer (`status` absent). */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure';
  readonly status: number | undefined;
  readonly body: unknown;
  /** Given up by us: the server may be there all the same. */
  readonly abandoned: boolean;

  constructor(what: string, { status, body, cause, abandoned = false }: FailureDetails) {
    super(`${what}: ${describe(status, body, cause)}`, cause === undefined ? undefined : { cause });
    this.status = status;
    this.body = body;
    this.abandoned = abandoned;
  }

  /** There was nobody to answer. */
  get isUnreachable(): boolean {
    return this.status === undefined && !this.abandoned;
  }

  /** Answered, and refused: asking again in the same way cannot help. */
  get isRefusal(): boolean {
    return this.status !== undefined && this.status >= 400 && this.status < 500;
  }
}

/** Makes one request within its time limit, and returns its data. Rejects with a `RequestFailure`. */
export async function ask<T>(
  what: string,
  signal: AbortSignal,
  request: (options: { signal: AbortSignal }) => Promise<Answer<T>>,
  limitMs: number = REQUEST_LIMIT_MS,
): Promise<T> {
  const answer = await within(what, signal, limitMs, request);
  const status = answer.response?.status;
  if (answer.error !== undefined || status === undefined || status >= 400) {
    throw new RequestFailure(what, { status, body: answer.error });
  }
  return answer.data as T;
}

async function within<T>(
  what: string,
  signal: AbortSignal,
  limitMs: number,
  request: (options: { signal: AbortSignal }) => Promise<Answer<T>>,
): Promise<Answer<T>> {
  const over = new AbortController();
  const onAbort = () => over.abort(signal.reason);
  const timer = setTimeout(() => over.abort(new Error(`no answer within ${limitMs} ms`)), limitMs);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const answer = await request({ signal: over.signal });
    if (answer.response === undefined && over.signal.aborted) throw over.signal.reason; // The SDK returns what it caught.
    return answer;
  } catch (cause) {
    const isForeign = cause instanceof Error && cause.message.includes('text/html'); // the SDK's own check
    throw new RequestFailure(what, {
      cause: over.signal.aborted ? over.signal.reason : cause,
      abandoned: over.signal.aborted,
      ...(isForeign ? { status: 200, body: { name: 'a page of HTML, so this is not the API of opencode' } } : {}),
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** The typed error for a failed request. Configuration text is never repeated: it may hold secrets. */
export function toSupervisorError(failure: unknown, what: string): SupervisorError {
  if (failure instanceof SupervisorError) return failure;
  if (!(failure instanceof RequestFailure)) return new SupervisorError('ERR_INTERNAL', what, { cause: failure });
  const invalid = configProblem(failure.body);
  if (invalid)
    return new SupervisorError('ERR_CONFIG_INVALID', `${what}: ${invalid}`, { reason: configPath(failure.body) });
  if (failure.status === 401 || failure.status === 403) {
    const message = `${what}: the server answered ${failure.status}, it does not accept our password. Is another program on this port?`;
    return new SupervisorError('ERR_AUTH_REQUIRED', message, { cause: failure });
  }
  if (failure.status === 404) return new SupervisorError('ERR_SESSION_NOT_FOUND', failure.message, { cause: failure });
  if (failure.status === undefined) {
    return new SupervisorError('ERR_BACKEND_EXITED', failure.message, { reason: 'unreachable', cause: failure });
  }
  return new SupervisorError('ERR_PROTOCOL', failure.message, { cause: failure });
}

/** Which configuration is broken, and where; without its text. */
function configProblem(body: unknown): string | undefined {
  const name = text(record(body)['name']);
  if (name !== 'ConfigJsonError' && name !== 'ConfigInvalidError') return undefined;
  const data = record(record(body)['data']);
  const paths = list(data['issues']).map((issue) => list(record(issue)['path']).join('.'));
  const where = paths.length > 0 ? `, at ${paths.slice(0, 8).join(', ')}` : '';
  const kind = name === 'ConfigJsonError' ? 'is not JSON' : 'has values that opencode does not accept';
  return `the configuration ${text(data['path']) ?? 'of the server'} ${kind}${where}. Correct it and try again.`;
}

/** [opencode] The file, or the variable that it came in. */
const configPath = (body: unknown): string | undefined => text(record(record(body)['data'])['path']);

function describe(status: number | undefined, body: unknown, cause: unknown): string {
  if (status === undefined) return cause instanceof Error ? reasonOf(cause) : 'the server did not answer';
  const data = record(record(body)['data']);
  const said = configProblem(body) ?? text(data['message']) ?? text(record(body)['name']);
  return `the server answered ${status}${said === undefined ? '' : ` (${said.slice(0, 200)})`}`;
}

function reasonOf(cause: Error): string {
  const inner = cause.cause instanceof Error ? `: ${cause.cause.message}` : '';
  return `${cause.message}${inner}`;
}
