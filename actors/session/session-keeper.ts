import { waitFor, withLimit } from '../clock-loop.ts';
import type { Clock, SupervisorEvents } from '../contract/supervisor.ts';
import type { SessionStore, StoredSession } from '../contract/store.ts';
import { messageOf } from '../errors.ts';

export interface SessionKeeperOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly warn: (warning: SupervisorEvents['warning']) => void;
}

/** Limit of one call of the store, in milliseconds. */
const CALL_LIMIT_MS = 5_000;
/** So long a caller waits for what is remembered of a chat, and a prompt for its own record, in milliseconds. */
const RECALL_LIMIT_MS = 5_000;
const WRITE_AHEAD_LIMIT_MS = 250;
const CLOSE_LIMIT_MS = 2_000;
/** Pauses between attempts, in milliseconds: doubled from the first to the last. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 30_000;
/** After so many failures in a row the host is told, and nobody waits any longer. */
const MAX_FAILURES = 3;
/** Records that wait to be written: the latest of each session. */
const MAX_PENDING = 10_000;

/** A record that is refused so often while others are taken is given up. */
const MAX_ATTEMPTS = 10;

interface Pending {
  readonly session: StoredSession;
  /** The record is to go. */
  readonly isDeletion: boolean;
  attempts: number;
  readonly done: () => void;
  readonly written: Promise<void>;
}

/**
 * Remembers sessions in the host's store, and keeps its troubles from everybody: what fails is tried again, of each session
 * only the latest record is written, and nothing waits for long.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #over = new AbortController();
  #opened: Promise<void> | undefined;
  #isOpen = false;
  #writing: Promise<void> | undefined;
  #failures = 0;
  /** The host knows that something is wrong, until everything is written. */
  #isTold = false;
  /** A record was not written in time: the next prompts do not wait for theirs. */
  #isSlow = false;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** What is remembered of a chat; nothing where the store cannot tell. Never rejects. */
  async recall(backend: string, chatId: string): Promise<StoredSession | undefined> {
    const pending = this.#pending.get(keyOf(backend, chatId));
    if (pending) return pending.isDeletion ? undefined : pending.session;
    const { clock, store } = this.#options;
    const read = async (signal: AbortSignal) => {
      await this.#untilOpen(signal);
      return store.get(backend, chatId);
    };
    return withLimit(clock, RECALL_LIMIT_MS, this.#over.signal, read).catch((error: unknown) => {
      this.#warn(`What is remembered of the chat "${chatId}" could not be read; it begins anew`, error, backend);
      return undefined;
    });
  }

  /** Remembers the session as it is. Resolves when that is done, or will not be soon; never rejects. */
  note(session: StoredSession): Promise<void> {
    return this.#enter(session, false);
  }

  /** Records are not written in time. */
  get isSlow(): boolean {
    return this.#isSlow;
  }

  /**
   * The same before something happens that must not be forgotten: waits for a moment, where that is of use, and for longer
   * where what is on record until then would be wrong.
   */
  async noteFirst(session: StoredSession, { isTakenBack }: { readonly isTakenBack: boolean }): Promise<void> {
    const written = this.note(session);
    if (this.#isSlow && !isTakenBack) return;
    const over = new AbortController();
    const limitMs = isTakenBack ? CALL_LIMIT_MS : WRITE_AHEAD_LIMIT_MS;
    const late = waitFor(this.#options.clock, limitMs, over.signal).then(() => 'late');
    const first = await Promise.race([written, late]);
    over.abort();
    this.#isSlow = first === 'late';
  }

  /** The backend has deleted the session. */
  forget(session: StoredSession): Promise<void> {
    return this.#enter(session, true);
  }

  /** Writes what waits, and lets go of the store. Never rejects. */
  async close(): Promise<void> {
    const { clock, store } = this.#options;
    const left = () => this.#pending.size > 0 || this.#writing !== undefined;
    if (this.#opened && left()) await this.#settled(CLOSE_LIMIT_MS);
    if (left()) this.#warn(`${this.#pending.size} sessions could not be remembered before the end`, undefined);
    this.#over.abort(new Error('the supervisor stopped'));
    for (const { done } of this.#pending.values()) done();
    this.#pending.clear();
    if (!this.#isOpen) return;
    await withLimit(clock, CLOSE_LIMIT_MS, new AbortController().signal, () => store.close()).catch((error: unknown) =>
      this.#warn('The store could not be closed', error),
    );
  }

  #enter(session: StoredSession, isDeletion: boolean): Promise<void> {
    if (this.#over.signal.aborted) return Promise.resolve();
    const key = keyOf(session.backend, session.chatId);
    const before = this.#pending.get(key);
    if (!before && this.#pending.size >= MAX_PENDING) {
      this.#warn(`More than ${MAX_PENDING} records wait for the store; one is given up`, undefined, session.backend);
      return Promise.resolve();
    }
    let done!: () => void;
    const written = new Promise<void>((resolve) => (done = resolve));
    this.#pending.set(key, { session, isDeletion, done, written, attempts: 0 });
    if (before) void written.then(before.done); // The later one says it all.
    if (this.#failures >= MAX_FAILURES) done();
    this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined));
    return written;
  }

  /** One after the other, until nothing waits. Never rejects. */
  async #writeAll(): Promise<void> {
    for (let [entry] = this.#pending; entry && !this.#over.signal.aborted; [entry] = this.#pending) {
      const [key, pending] = entry;
      try {
        await this.#write(pending);
        this.#succeeded();
        if (this.#pending.get(key) === pending) this.#pending.delete(key);
        if (this.#pending.size === 0) this.#isTold = false;
        pending.done();
      } catch (error) {
        this.#putLast(key, pending, error);
        await this.#failed(error);
      }
    }
  }

  /** Others have their turn before it is tried again. */
  #putLast(key: string, pending: Pending, error: unknown): void {
    if (this.#pending.get(key) !== pending) return;
    this.#pending.delete(key);
    if (this.#failures === 0) pending.attempts += 1; // Others were taken.
    if (pending.attempts < MAX_ATTEMPTS) this.#pending.set(key, pending);
    else {
      pending.done();
      this.#warn(`The chat "${pending.session.chatId}" is not remembered`, error, pending.session.backend);
    }
  }

  async #write({ session, isDeletion }: Pending): Promise<void> {
    const { clock, store } = this.#options;
    await withLimit(clock, CALL_LIMIT_MS, this.#over.signal, async (signal) => {
      await this.#untilOpen(signal);
      await (isDeletion ? store.delete(session.backend, session.chatId) : store.put(session));
    });
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#isSlow = false;
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#failures += 1;
    if (this.#failures === MAX_FAILURES && !this.#isTold) {
      this.#isTold = true;
      this.#warn(
        'Sessions cannot be remembered now, and would not be continued by another host; it is tried again',
        error,
      );
    }
    if (this.#failures >= MAX_FAILURES) for (const { done } of this.#pending.values()) done();
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1));
    await waitFor(this.#options.clock, pauseMs, this.#over.signal);
  }

  async #settled(limitMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#writing, waitFor(this.#options.clock, limitMs, over.signal)]);
    over.abort();
  }

  /** Opens the store once; one that could not be opened is tried again with the next call. */
  async #untilOpen(signal: AbortSignal): Promise<void> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    await this.#opened;
    signal.throwIfAborted();
  }

  async #open(): Promise<void> {
    const { store } = this.#options;
    if (!this.#isOpen) await store.open();
    this.#isOpen = true;
    if (this.#over.signal.aborted) await store.close(); // It came too late.
    this.#over.signal.throwIfAborted();
    for (const session of await store.list()) {
      if (session.status === 'active') await store.put({ ...session, status: 'crashed' }); // Its host ended in the middle.
    }
  }

  #warn(what: string, error: unknown, backend?: string): void {
    const why = error === undefined ? '' : `: ${messageOf(error)}`;
    this.#options.warn({ code: 'ERR_STORE', message: `${what}${why}.`, ...(backend === undefined ? {} : { backend }) });
  }
}

const keyOf = (backend: string, chatId: string): string => JSON.stringify([backend, chatId]);
