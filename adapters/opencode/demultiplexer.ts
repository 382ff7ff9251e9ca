import { type OpencodeEvent, sessionIdOf } from './decode-event.ts';
import type { TurnTranslator } from './turn-translator.ts';

/** Leads each event to the turn that owns its session, in one step however many sessions there are. */
export class Demultiplexer {
  readonly #turns = new Map<string, TurnTranslator>();
  readonly #spawned = new Set<string>();

  /** Subagents' sessions seen so far. */
  get spawned(): ReadonlySet<string> {
    return this.#spawned;
  }

  get hasTurns(): boolean {
    return this.#turns.size > 0;
  }

  attach(turn: TurnTranslator): void {
    this.#turns.set(turn.sessionId, turn);
  }

  detach(turn: TurnTranslator): void {
    for (const id of turn.sessionIds()) if (this.#turns.get(id) === turn) this.#turns.delete(id);
  }

  /** The turn that an event belongs to, if one is running. */
  ownerOf(event: OpencodeEvent): TurnTranslator | undefined {
    const sessionId = sessionIdOf(event);
    if (sessionId === undefined) return undefined;
    if (event.type === 'session' && event.parentId !== undefined) return this.#turns.get(event.parentId);
    return this.#turns.get(sessionId);
  }

  /** Hands an event to its turn. `live`: in order on the connection; otherwise asked for. */
  dispatch(event: OpencodeEvent, live = true): void {
    const turn = this.ownerOf(event);
    if (!turn) return;
    if (event.type === 'session') return this.#adopt(turn, event.sessionId);
    turn.handle(event, live);
    if (event.type === 'part' && event.part.kind === 'tool') this.#adopt(turn, event.part.tool.childSessionId);
  }

  /** Deltas may have been missed by the turns that match. */
  markGap(matches: (turn: TurnTranslator) => boolean): void {
    for (const turn of new Set(this.#turns.values())) if (matches(turn)) turn.markGap();
  }

  #adopt(turn: TurnTranslator, sessionId: string | undefined): void {
    if (sessionId === undefined || sessionId === turn.sessionId) return;
    turn.adopt(sessionId);
    this.#turns.set(sessionId, turn);
    this.#spawned.add(sessionId);
  }
}
