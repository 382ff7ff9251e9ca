import { abortError } from '../backend/await-healthy.ts';
import type { Backend, RequestLimits, SessionWork } from '../backend/backend.ts';
import { withLimit } from '../clock-loop.ts';
import type { OpenSessionOptions, Session } from '../contract/session.ts';
import type { SessionStatus } from '../contract/status.ts';
import { SupervisorError } from '../errors.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import { invalidOption } from '../validation.ts';
import { expectOpenOptions } from './open-options.ts';
import { SessionHandle, type SessionHost } from './session-handle.ts';
import { SessionLine } from './session-line.ts';
import type { Interruption } from './session-memory.ts';
import { SessionOpener } from './session-opener.ts';
import { SessionRecord } from './session-record.ts';
import { keyOf, settingsOf, statusOf } from './session-shape.ts';

interface OpenSession {
  readonly record: SessionRecord;
  readonly handle: SessionHandle;
  readonly backend: Backend;
}

/** What a chat is open as, once the latest call to open it is done. Never rejects. */
interface ChatEntry {
  readonly known: Promise<OpenSession | undefined>;
  session: OpenSession | undefined;
}

/** Requests of an open session take at most this long, in milliseconds. */
const REQUEST_LIMIT_MS = 30_000;

/** All sessions of a supervisor, by chat and backend. */
export class SessionBook {
  readonly #runtime: SupervisorRuntime;
  readonly #opener: SessionOpener;
  /** By chat and backend. */
  readonly #open = new Map<string, ChatEntry>();
  readonly #records = new Map<SessionRecord, OpenSession>();
  /** Turns of another host had other names. */
  readonly #run = crypto.randomUUID().slice(0, 8);
  #sessions = 0;
  #turns = 0;

  constructor(runtime: SupervisorRuntime) {
    this.#runtime = runtime;
    this.#opener = new SessionOpener(runtime);
  }

  /** Opens a session, or returns the open one of the same chat and backend. */
  async open(given: OpenSessionOptions): Promise<Session> {
    const options = expectOpenOptions(given);
    const backend = this.#runtime.backend(options.backend);
    this.#opener.expectRunning();
    if (options.signal?.aborted) throw abortError(options.signal);
    const key = keyOf(options.backend, options.chatId ?? this.#freshChatId());
    const opening = this.#inTurn(key, (known) => this.#openOrMove(known, backend, options, key));
    const { handle, record } = await unlessAborted(opening, options.signal);
    record.references += 1;
    return handle;
  }

  statuses(): SessionStatus[] {
    return [...this.#records.values()].map(({ record }) => statusOf(record));
  }

  /** A chat id that nobody chose. */
  #freshChatId(): string {
    return `chat-${crypto.randomUUID()}`;
  }

  /** Calls for one chat follow each other: none of them opens what another is opening. One that fails changes nothing. */
  #inTurn(key: string, open: (known: OpenSession | undefined) => Promise<OpenSession>): Promise<OpenSession> {
    const before = this.#open.get(key)?.known ?? Promise.resolve(undefined);
    const opening = before.then(open);
    const entry: ChatEntry = { known: opening.catch(() => before), session: undefined };
    this.#open.set(key, entry);
    void entry.known.then((session) => {
      entry.session = session;
      if (!session && this.#open.get(key) === entry) this.#open.delete(key);
    });
    return opening;
  }

  async #create(backend: Backend, options: OpenSessionOptions, key: string): Promise<OpenSession> {
    const { memory, clock } = this.#runtime;
    const { openTimeoutMs } = this.#runtime.options;
    const endsAt = clock.now() + openTimeoutMs;
    const stored = await memory.recall(options, openTimeoutMs);
    const driver = await this.#opener.continue({ backend, options, key, endsAt }, stored);
    const leftMs = Math.max(1, Math.round(endsAt - clock.now()));
    const left = stored && (await memory.interruptionOf(stored, driver, leftMs));
    if (left) this.#opener.confirm(backend, driver);
    this.#sessions += 1;
    const settings = settingsOf(options, key);
    const record = new SessionRecord(`session-${this.#sessions}`, settings, driver);
    record.restored = driver.restored ? 'restored' : stored && 'replaced';
    record.hasHistory = driver.restored && stored?.hasHistory !== false;
    backend.sessions.add(record);
    backend.attach(record);
    const line = new SessionLine(this.#runtime, record);
    const open = { record, backend, handle: new SessionHandle(record, line, this.#hostOf(backend)) };
    this.#records.set(record, open);
    this.#runtime.memory.note(record);
    this.#tell(record, record.restored ?? 'created');
    if (left) this.#tellInterrupted(record, left);
    return open;
  }

  /** Told once: the record of it is overwritten. */
  #tellInterrupted(record: SessionRecord, { isWorking, ...interrupted }: Interruption): void {
    record.interrupted = interrupted;
    record.unquiet = isWorking;
    const { chatId, backendId: backend } = record.settings;
    const { turnId } = interrupted;
    if (interrupted.outcome !== 'indeterminate') return;
    this.#runtime.emitter.emit('session', { type: 'interrupted', sessionId: record.id, chatId, backend, turnId });
  }

  /** The chat may be open here already; in another directory it moves there, once it is quiet. */
  async #openOrMove(
    known: OpenSession | undefined,
    backend: Backend,
    options: OpenSessionOptions,
    key: string,
  ): Promise<OpenSession> {
    if (known?.record.closed) await known.record.closing; // What it leaves is written before what comes.
    if (!known || known.record.closed) return this.#create(backend, options, key);
    const { record } = known;
    if (record.driver.directory === options.directory) return expectSameConversation(known, options);
    await this.#untilQuiet(record, options.signal);
    if (record.closed) return this.#create(backend, options, key);
    const endsAt = this.#runtime.clock.now() + this.#runtime.options.openTimeoutMs;
    const driver = await this.#opener.open({ backend, options, key, endsAt });
    try {
      while (!record.isIdle) await this.#untilQuiet(record, options.signal); // A prompt may have come meanwhile.
    } catch (error) {
      backend.discard(driver);
      throw error;
    }
    if (isClosed(record)) {
      backend.discard(driver);
      return this.#create(backend, options, key);
    }
    backend.detach(record);
    record.driver = driver;
    record.restored = driver.restored ? 'restored' : 'replaced';
    record.hasHistory = driver.restored;
    backend.attach(record);
    this.#runtime.memory.note(record);
    this.#tell(record, record.restored);
    return known;
  }

  /** Waits until no turn of the session runs or waits, for as long as the caller may wait. */
  async #untilQuiet(record: SessionRecord, signal: AbortSignal | undefined): Promise<void> {
    if (record.isIdle) return;
    const { clock, options } = this.#runtime;
    await withLimit(clock, options.openTimeoutMs, signal ?? new AbortController().signal, async (limited) => {
      const over = new Promise<never>((_, reject) => {
        limited.addEventListener('abort', () => reject(limited.reason as Error), { once: true });
      });
      while (!record.isIdle) await Promise.race([over, ...record.turns().map((turn) => turn.result)]);
    }).catch((error: unknown) => {
      if (signal?.aborted) throw abortError(signal);
      const message = `The session ${record.id} did not become quiet within ${options.openTimeoutMs} ms.`;
      throw new SupervisorError('ERR_OPEN_TIMEOUT', message, { sessionId: record.id, cause: error });
    });
  }

  #hostOf(backend: Backend): SessionHost {
    return {
      nextTurnId: () => `turn-${this.#run}-${(this.#turns += 1)}`,
      statusOf: (record) => statusOf(record),
      verify: async (record, choice) => {
        if (record.closed) throw closedError(record);
        if (record.carrier.isAvailable)
          await this.#request(backend, record, (driver, signal) => driver.verify(choice, signal));
      },
      request: (record, work) => this.#request(backend, record, work),
      fork: (record) => this.#fork(backend, record),
      release: (record) => void (record.references = Math.max(0, record.references - 1)),
      close: (record, options) => this.#close(backend, record, options),
    };
  }

  async #request<T>(backend: Backend, record: SessionRecord, work: SessionWork<T>): Promise<T> {
    this.#opener.expectRunning();
    if (record.closed) throw closedError(record);
    return backend.request(record, this.#limits(), work);
  }

  #limits(): RequestLimits {
    return { startMs: this.#runtime.options.openTimeoutMs, requestMs: REQUEST_LIMIT_MS };
  }

  async #fork(backend: Backend, record: SessionRecord): Promise<Session> {
    const { backendId: _, chatId: __, title: ___, ...settings } = record.settings;
    const resume = await this.#request(backend, record, async (driver, signal) => {
      await driver.verify(settings, signal); // Before there is a fork that nobody could open.
      return driver.fork(signal);
    });
    return this.open({ ...settings, backend: backend.id, directory: record.driver.directory, resume });
  }

  async #close(backend: Backend, record: SessionRecord, options: { readonly delete: boolean }): Promise<void> {
    if (record.closed) return this.#closeAgain(backend, record, options);
    record.closed = {
      code: 'ERR_SESSION_CLOSED',
      message: `The session ${record.id} is closed. Open it again to prompt.`,
    };
    const closing = this.#end(backend, record, options);
    record.closing = closing.catch(() => undefined); // Told to the one who closes.
    await closing;
  }

  /** The first close is under way or done; this one may still ask for the deletion. */
  async #closeAgain(backend: Backend, record: SessionRecord, options: { readonly delete: boolean }): Promise<void> {
    await record.closing;
    if (!options.delete) return;
    await this.#closeOnBackend(backend, record, options);
    const isOpenAgain = this.#open.has(keyOf(backend.id, record.settings.chatId));
    if (!isOpenAgain) this.#runtime.memory.noteClosed(record, { isDeleted: true });
  }

  async #end(backend: Backend, record: SessionRecord, options: { readonly delete: boolean }): Promise<void> {
    const turns = record.turns();
    for (const turn of [...turns].reverse()) turn.send({ type: 'turn.cancel' });
    await Promise.all(turns.map((turn) => turn.result));
    let isDeleted = false;
    try {
      if (options.delete || record.carrier.isAvailable) await this.#closeOnBackend(backend, record, options);
      isDeleted = options.delete;
    } finally {
      this.#forget(backend, record);
      this.#runtime.memory.noteClosed(record, { isDeleted });
    }
  }

  /** What is to be deleted is deleted: a backend that is down is started for it. */
  async #closeOnBackend(backend: Backend, record: SessionRecord, options: { readonly delete: boolean }): Promise<void> {
    const limits = options.delete ? this.#limits() : { requestMs: REQUEST_LIMIT_MS };
    await backend.request(record, limits, (driver, signal) => driver.close(options, signal));
  }

  #forget(backend: Backend, record: SessionRecord): void {
    const key = keyOf(backend.id, record.settings.chatId);
    if (this.#open.get(key)?.session?.record === record) this.#open.delete(key);
    this.#records.delete(record);
    backend.sessions.delete(record);
    backend.detach(record);
    this.#tell(record, 'closed');
  }

  #tell(record: SessionRecord, type: 'created' | 'restored' | 'replaced' | 'closed'): void {
    const { chatId, backendId: backend } = record.settings;
    this.#runtime.emitter.emit('session', { type, sessionId: record.id, chatId, backend });
  }
}

/** What is open goes on: to continue something else in its place, it has to be closed first. */
function expectSameConversation(known: OpenSession, { resume }: OpenSessionOptions): OpenSession {
  const { agentSessionId } = known.record.driver;
  if (resume === undefined || resume === 'auto' || resume === 'never' || resume === agentSessionId) return known;
  const open = `the agent session ${agentSessionId}, which the chat is open with; close it first to continue another`;
  throw invalidOption('resume', open, resume);
}

/** The work goes on for those who still wait for it. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

const isClosed = ({ closed }: SessionRecord): boolean => closed !== undefined;

function closedError(record: SessionRecord): SupervisorError {
  return new SupervisorError('ERR_SESSION_CLOSED', `The session ${record.id} is closed.`, { sessionId: record.id });
}
