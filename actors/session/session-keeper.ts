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
/** So long a prompt waits for its own record, in milliseconds. */
const WRITE_AHEAD_LIMIT_MS = 250;
const CLOSE_LIMIT_MS = 2_000;
/** Pauses between attempts where nothing can be written, in milliseconds: doubled from the first to the last. */
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
  /** Records that were taken before it came. */
  readonly takenBefore: number;
  readonly done: () => void;
  readonly written: Promise<void>;
}

/**
 * Remembers sessions in the host's store, and keeps its troubles from everybody: what fails is tried again, of each session
 * only the latest record is written, one call follows the other, and nothing waits for long.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #over = new AbortController();
  #opened: Promise<void> | undefined;
  #isOpen = false;
  #closed: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  /** A call that writes, also one that nobody waits for any more: a later one must not overtake it. */
  #call: Promise<void> | undefined;
  #failures = 0;
  #taken = 0;
  /** The host knows that something is wrong, until everything is written. */
  #isTold = false;
  /** Records are not written in time: prompts do not wait for theirs. */
  #isSlow = false;
  #pause = new AbortController();
  /** What was noted since the store was opened, until what others have left is marked. */
  #noted: Set<string> | undefined;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** What is remembered of a chat; nothing where the store cannot tell. Never rejects. */
  async recall(backend: string, chatId: string, limitMs: number): Promise<StoredSession | undefined> {
    const pending = this.#pending.get(keyOf(backend, chatId));
    if (pending) return pending.isDeletion ? undefined : pending.session;
    const { clock, store } = this.#options;
    const read = async (signal: AbortSignal) => {
      await this.#untilOpen(signal);
      return store.get(backend, chatId);
    };
    const limit = Math.min(limitMs, CALL_LIMIT_MS);
    return withLimit(clock, limit, this.#over.signal, read).catch((error: unknown) => {
      this.#warn(`What is remembered of the chat "${chatId}" could not be read; it begins anew`, error, backend);
      return undefined;
    });
  }

  /** Remembers the session as it is. Resolves when that is done, or will not be soon; never rejects. */
  note(session: StoredSession): Promise<void> {
    return this.#enter(session, false);
  }

  /** The same before something happens that must not be forgotten: waits for a moment, where that is of use. */
  async noteFirst(session: StoredSession): Promise<void> {
    const written = this.note(session);
    if (this.#isSlow) return;
    const over = new AbortController();
    const late = waitFor(this.#options.clock, WRITE_AHEAD_LIMIT_MS, over.signal).then(() => 'late');
    const first = await Promise.race([written, late]);
    over.abort();
    this.#isSlow ||= first === 'late';
  }

  /** The backend has deleted the session. */
  forget(session: StoredSession): Promise<void> {
    return this.#enter(session, true);
  }

  /** Writes what waits, and lets go of the store. Never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { clock, store } = this.#options;
    if (this.#opened && this.#writing) await this.#settled(this.#writing, CLOSE_LIMIT_MS);
    if (this.#pending.size > 0)
      this.#warn(`${this.#pending.size} sessions could not be remembered before the end`, undefined);
    this.#over.abort(new Error('the supervisor stopped'));
    this.#pause.abort();
    for (const { done } of this.#pending.values()) done();
    this.#pending.clear();
    if (!this.#isOpen) return;
    const forAll = new AbortController().signal;
    await withLimit(clock, CLOSE_LIMIT_MS, forAll, () => store.close()).catch((error: unknown) =>
      this.#warn('The store could not be closed', error),
    );
  }

  #enter(session: StoredSession, isDeletion: boolean): Promise<void> {
    if (this.#over.signal.aborted) return Promise.resolve();
    const key = keyOf(session.backend, session.chatId);
    this.#noted?.add(key);
    const before = this.#pending.get(key);
    if (!before && this.#pending.size >= MAX_PENDING) {
      this.#tellOnce(`More than ${MAX_PENDING} records wait for the store; some are given up`, undefined);
      return Promise.resolve();
    }
    let done!: () => void;
    const written = new Promise<void>((resolve) => (done = resolve));
    this.#pending.set(key, { session, isDeletion, done, written, attempts: 0, takenBefore: this.#taken });
    if (before) void written.then(before.done); // The later one says it all.
    if (this.#failures >= MAX_FAILURES) done();
    this.#pause.abort();
    this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined));
    return written;
  }

  /** One after the other, until nothing waits; a pause only where none of them could be written. Never rejects. */
  async #writeAll(): Promise<void> {
    while (this.#pending.size > 0 && !this.#isOver()) {
      const taken = this.#taken;
      this.#pause = new AbortController(); // Whoever comes from now on ends the pause.
      for (const [key, pending] of [...this.#pending]) {
        if (this.#isOver()) return;
        if (this.#pending.get(key) === pending) await this.#attempt(key, pending);
      }
      if (this.#taken === taken) await this.#rest();
    }
  }

  async #attempt(key: string, pending: Pending): Promise<void> {
    try {
      await this.#write(pending);
      this.#taken += 1;
      this.#failures = 0;
      if (this.#pending.get(key) === pending) this.#pending.delete(key);
      if (this.#pending.size === 0) this.#isTold = false;
      pending.done();
    } catch (error) {
      this.#failed(key, pending, error);
    }
  }

  async #write({ session, isDeletion }: Pending): Promise<void> {
    const { clock, store } = this.#options;
    await withLimit(clock, CALL_LIMIT_MS, this.#over.signal, async (signal) => {
      await this.#untilOpen(signal);
      await this.#call;
      signal.throwIfAborted();
      const startedAt = clock.now();
      const call = isDeletion ? store.delete(session.backend, session.chatId) : store.put(session);
      const over = () => (this.#call = undefined);
      this.#call = call.then(over, over);
      await call;
      this.#isSlow = clock.now() - startedAt > WRITE_AHEAD_LIMIT_MS;
    });
  }

  #failed(key: string, pending: Pending, error: unknown): void {
    if (this.#over.signal.aborted) return;
    this.#failures += 1;
    pending.attempts += 1;
    const isItsOwn = pending.attempts >= MAX_ATTEMPTS && this.#taken > pending.takenBefore;
    if (isItsOwn && this.#pending.get(key) === pending) {
      this.#pending.delete(key);
      pending.done();
      this.#warn(`The chat "${pending.session.chatId}" is not remembered`, error, pending.session.backend);
    }
    if (this.#failures < MAX_FAILURES) return;
    this.#tellOnce(
      'Sessions cannot be remembered now, and would not be continued by another host; it is tried again',
      error,
    );
    for (const { done } of this.#pending.values()) done();
  }

  async #rest(): Promise<void> {
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(20, Math.max(0, this.#failures - 1)));
    await waitFor(this.#options.clock, pauseMs, this.#pause.signal);
  }

  async #settled(work: Promise<void>, limitMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([work, waitFor(this.#options.clock, limitMs, over.signal)]);
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
    await store.open();
    this.#isOpen = true;
    if (this.#over.signal.aborted) await store.close(); // It came too late.
    this.#over.signal.throwIfAborted();
    void this.#markCrashed();
  }

  /** What ran when the host before ended: written like everything else, unless something newer is to be. */
  async #markCrashed(): Promise<void> {
    this.#noted = new Set(this.#pending.keys());
    const sessions = await this.#options.store.list().catch((error: unknown) => {
      this.#warn('What other hosts have left could not be listed', error);
      return [];
    });
    const isOld = ({ backend, chatId }: StoredSession) => this.#noted?.has(keyOf(backend, chatId)) !== true;
    const crashed = sessions.filter((session) => session.status === 'active' && isOld(session));
    this.#noted = undefined;
    for (const session of crashed) void this.note({ ...session, status: 'crashed' });
  }

  #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  #tellOnce(what: string, error: unknown): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#warn(what, error);
  }

  #warn(what: string, error: unknown, backend?: string): void {
    const why = error === undefined ? '' : `: ${messageOf(error)}`;
    this.#options.warn({ code: 'ERR_STORE', message: `${what}${why}.`, ...(backend === undefined ? {} : { backend }) });
  }
}

const keyOf = (backend: string, chatId: string): string => JSON.stringify([backend, chatId]);
