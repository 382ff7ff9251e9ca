import { withLimit } from '../clock-loop.ts';
import type { OpenSessionOptions, Session } from '../contract/session.ts';
import type { StoredSession, StoredTurn } from '../contract/store.ts';
import type { Clock } from '../contract/supervisor.ts';
import type { DriverSession } from '../ports.ts';
import type { TurnRuntime } from '../turn/turn-runtime.ts';
import { Inquest } from './inquest.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { SessionRecord } from './session-record.ts';

export type Interruption = NonNullable<Session['interrupted']>;

/** Limit of asking what became of a turn, in milliseconds. */
const INQUEST_LIMIT_MS = 10_000;

/** What sessions leave in the store, and what is made of that when they are opened again. */
export class SessionMemory {
  readonly #keeper: SessionKeeper;
  readonly #clock: Clock;

  constructor(keeper: SessionKeeper, clock: Clock) {
    this.#keeper = keeper;
    this.#clock = clock;
  }

  /** What another host, or an earlier one, left of the chat that is to go on; `undefined` where it begins anew. */
  async recall({ backend, chatId, resume = 'auto' }: OpenSessionOptions): Promise<StoredSession | undefined> {
    if (resume !== 'auto' || chatId === undefined) return undefined;
    const stored = await this.#keeper.recall(backend, chatId);
    return stored?.status === 'closed' ? undefined : stored;
  }

  /** The session as it is now, between its turns. */
  note(record: SessionRecord): void {
    if (!record.closed) void this.#keeper.note(this.#storedOf(record));
  }

  /**
   * A turn begins. That it was not sent is said only of one that waits for its backend, and where it can be taken back in
   * time: nobody would know otherwise that it was sent after that.
   */
  noteTurn(record: SessionRecord, turn: TurnRuntime): void {
    record.turn = {
      id: turn.id,
      startedAt: this.#now(),
      wasSent: record.carrier.isAvailable || this.#keeper.isSlow,
      ...(turn.driver?.messageId === undefined ? {} : { messageId: turn.driver.messageId }),
    };
    this.note(record);
  }

  /** Its prompt is about to be sent. Resolves when that is remembered, or will not be soon. */
  async noteSending(record: SessionRecord, turn: TurnRuntime): Promise<void> {
    if (record.turn?.id !== turn.id) return;
    const isTakenBack = !record.turn.wasSent;
    record.hasHistory = true;
    record.turn = { ...record.turn, wasSent: true };
    await this.#keeper.noteFirst(this.#storedOf(record), { isTakenBack });
  }

  /** The turn is settled. `isLost`: nobody knows its end. */
  noteSettled(record: SessionRecord, turn: TurnRuntime, isLost: boolean): void {
    if (record.turn?.id !== turn.id) return;
    record.turn = undefined;
    record.isCrashed = isLost;
    this.note(record);
  }

  /** The session was closed, and deleted on its backend where that was asked for. */
  noteClosed(record: SessionRecord, { isDeleted }: { readonly isDeleted: boolean }): void {
    const stored = { ...this.#storedOf(record), status: 'closed' as const };
    void (isDeleted ? this.#keeper.forget(stored) : this.#keeper.note(stored));
  }

  /** What became of the turn that was under way when the session was left. `isSame`: the session itself goes on. */
  async interruptionOf(
    stored: StoredSession,
    driver: DriverSession,
    isSame: boolean,
  ): Promise<(Interruption & { readonly isWorking: boolean }) | undefined> {
    const { turn } = stored;
    if (!turn) return undefined;
    if (!turn.wasSent) return { turnId: turn.id, outcome: 'not-accepted', text: '', isWorking: false };
    const inquest = new Inquest();
    if (isSame) await this.#inquire(turn, driver, inquest);
    return { turnId: turn.id, ...inquest.finding };
  }

  async #inquire(turn: StoredTurn, driver: DriverSession, inquest: Inquest): Promise<void> {
    const { messageId, startedAt } = turn;
    if (messageId === undefined || !driver.recount) return;
    const ageMs = this.#clock.wallNow() - Date.parse(startedAt);
    const ask = (signal: AbortSignal) => driver.recount?.({ messageId, ageMs }, inquest, signal) ?? Promise.resolve();
    await withLimit(this.#clock, INQUEST_LIMIT_MS, new AbortController().signal, ask).catch(() => inquest.forget());
  }

  #storedOf(record: SessionRecord): StoredSession {
    const { backendId: backend, chatId } = record.settings;
    const { agentSessionId, directory } = record.driver;
    return {
      backend,
      chatId,
      agentSessionId,
      directory,
      status: record.turn ? 'active' : record.isCrashed ? 'crashed' : 'idle',
      lastActiveAt: this.#now(),
      generation: record.carrier.generation,
      hasHistory: record.hasHistory,
      ...(record.turn ? { turn: record.turn } : {}),
    };
  }

  #now(): string {
    return new Date(this.#clock.wallNow()).toISOString();
  }
}
