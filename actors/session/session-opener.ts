import { abortError } from '../backend/await-healthy.ts';
import type { Backend } from '../backend/backend.ts';
import type { OpenSessionOptions } from '../contract/session.ts';
import type { StoredSession } from '../contract/store.ts';
import { SupervisorError } from '../errors.ts';
import type { DriverSession, DriverSessionRequest } from '../ports.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import { invalidOption } from '../validation.ts';
import { chatOf, requestOf } from './session-shape.ts';

/** A chat that is to be opened on a backend. */
export interface Opening {
  readonly backend: Backend;
  readonly options: OpenSessionOptions;
  readonly key: string;
  /** When the caller gives up, in monotonic milliseconds. */
  readonly endsAt: number;
}

/** Opens agent sessions: what is remembered, what a host asks for, or a new one. */
export class SessionOpener {
  readonly #runtime: SupervisorRuntime;

  constructor(runtime: SupervisorRuntime) {
    this.#runtime = runtime;
  }

  /** What is remembered of the chat goes on where that is possible, and anew otherwise. */
  async continue(opening: Opening, stored: StoredSession | undefined): Promise<DriverSession> {
    const { directory, resume: wanted = 'auto' } = opening.options;
    if (stored?.directory !== directory || wanted !== 'auto') return this.open(opening);
    const { agentSessionId: resume, hasHistory } = stored;
    const options = { ...opening.options, resume };
    return this.open({ ...opening, options }, { hasHistory }).catch((error: unknown) => {
      if (!isUnknownSession(error)) throw error;
      return this.open(opening);
    });
  }

  /** `known`: what is remembered of the session that is to be continued. */
  async open(
    { backend, options, key, endsAt }: Opening,
    known: Pick<DriverSessionRequest, 'hasHistory'> = {},
  ): Promise<DriverSession> {
    this.expectRunning();
    const { signal } = options;
    const { resume } = requestOf(options);
    if (resume !== undefined) expectUnused(backend, resume); // Before anything is started for it.
    const timeoutMs = Math.max(1, Math.round(endsAt - this.#runtime.clock.now()));
    const circumstances = { chatId: chatOf(key), timeoutMs, signal };
    const driver = await backend.open({ ...requestOf(options), ...known }, circumstances).catch((error: unknown) => {
      throw signal?.aborted ? abortError(signal) : error;
    });
    this.confirm(backend, driver, resume !== undefined);
    return driver;
  }

  /** Gives the session back, and throws, where the supervisor was stopped or somebody was quicker. */
  confirm(backend: Backend, driver: DriverSession, isContinued = driver.restored): void {
    try {
      this.expectRunning();
      if (isContinued) expectUnused(backend, driver.agentSessionId);
    } catch (error) {
      backend.discard(driver);
      throw error;
    }
  }

  expectRunning(): void {
    if (this.#runtime.state !== 'running')
      throw new SupervisorError('ERR_STOPPED', 'The supervisor is stopping or stopped.');
  }
}

/** Two chats that continue one agent session would take each other's events. Agents may number their new ones alike. */
function expectUnused(backend: Backend, agentSessionId: string): void {
  const holder = [...backend.sessions].find(({ driver }) => driver.agentSessionId === agentSessionId);
  if (!holder) return;
  const held = `${agentSessionId}, which is open as the chat "${holder.settings.chatId}"`;
  throw invalidOption('resume', 'an agent session that is not open; prompt there, or fork it', held);
}

const UNKNOWN: ReadonlySet<string> = new Set(['ERR_INVALID_OPTION', 'ERR_SESSION_NOT_FOUND', 'ERR_UNSUPPORTED']);

/** Nobody knows the session any more, or it is open as another chat. */
function isUnknownSession(error: unknown): boolean {
  return error instanceof SupervisorError && UNKNOWN.has(error.code);
}
