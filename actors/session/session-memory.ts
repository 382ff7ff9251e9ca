import { withLimit } from '../clock-loop.ts';
import type { OpenSessionOptions, Session } from '../contract/session.ts';
import type { StoredSession, StoredTurn } from '../contract/store.ts';
import type { Clock } from '../contract/supervisor.ts';
import type { DriverSession } from '../ports.ts';
import type { TurnRuntime } from '../turn/turn-runtime.ts';
import { Inquest } from './inquest.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { SessionRecord } from './session-record.ts';

/** A turn that a host before this one left. `isWorking`: somebody still works on it. */
export type Interruption = NonNullable<Session['interrupted']> & { readonly isWorking: boolean };

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

  /** What another host, or an earlier one, left of the chat; `undefined` where that is nothing, or was closed. */
  async recall({ backend, chatId }: OpenSessionOptions, limitMs: number): Promise<StoredSession | undefined> {
    if (chatId === undefined) return undefined;
    const stored = await this.#keeper.recall(backend, chatId, limitMs);
    return stored?.status === 'closed' ? undefined : stored;
  }

  /** The session as it is now, between its turns. */
  note(record: SessionRecord): void {
    if (!record.closed) void this.#keeper.note(this.#storedOf(record));
  }

  /** A turn begins. */
  noteTurn(record: SessionRecord, turn: TurnRuntime): void {
    record.hasHistory = true;
    record.turn = {
      id: turn.id,
      startedAt: this.#now(),
      ...(turn.driver?.messageId === undefined ? {} : { messageId: turn.driver.messageId }),
    };
    this.note(record);
  }

  /** Its prompt is about to be sent. Resolves when the turn is remembered, or will not be soon. */
  async noteSending(record: SessionRecord, turn: TurnRuntime): Promise<void> {
    if (record.turn?.id === turn.id) await this.#keeper.noteFirst(this.#storedOf(record));
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

  /** What became of the turn that was under way when the session was left; only a backend that still has it can tell. */
  async interruptionOf(
    stored: StoredSession,
    driver: DriverSession,
    limitMs: number,
  ): Promise<Interruption | undefined> {
    const { turn } = stored;
    if (!turn) return undefined;
    const inquest = new Inquest();
    if (driver.agentSessionId === stored.agentSessionId) await this.#inquire(turn, driver, inquest, limitMs);
    return { turnId: turn.id, ...inquest.finding };
  }

  async #inquire({ messageId, startedAt }: StoredTurn, driver: DriverSession, inquest: Inquest, limitMs: number) {
    if (messageId === undefined || !driver.recount) return;
    const ageMs = this.#clock.wallNow() - Date.parse(startedAt);
    const ask = (signal: AbortSignal) => driver.recount?.({ messageId, ageMs }, inquest, signal) ?? Promise.resolve();
    const limit = Math.min(limitMs, INQUEST_LIMIT_MS);
    await withLimit(this.#clock, limit, new AbortController().signal, ask).catch(() => inquest.forget());
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
