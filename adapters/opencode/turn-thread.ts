import type { DecodedMessage, DecodedPart } from './decode-parts.ts';

/**
 * Tells which messages of a session belong to a turn: the answers to its prompt, and to what the server puts in the
 * prompt's place. [opencode] A server that finds the context full asks itself for a summary, in a user message of its own,
 * and then goes on under one more: the same prompt again, or "continue". A prompt of somebody else is neither.
 */
export class TurnThread {
  readonly #messageId: string;
  /** The turn's own message, and those in its place. */
  readonly #prompts: Set<string>;
  readonly #compactions = new Set<string>();
  readonly #summaries = new Set<string>();
  #continues = false;

  constructor(messageId: string) {
    this.#messageId = messageId;
    this.#prompts = new Set([messageId]);
  }

  /** Whether a message of the agent belongs to the turn. */
  owns({ role, parentId }: DecodedMessage): boolean {
    return role === 'assistant' && parentId !== undefined && this.#prompts.has(parentId);
  }

  /** In the order in which the server made them. */
  note(message: DecodedMessage): void {
    if (message.role === 'user') this.#noteUser(message.id);
    else if (message.summary && message.completed && !message.failure) this.#noteSummary(message);
  }

  notePart(messageId: string, part: DecodedPart): void {
    if (part.kind !== 'compaction' || !part.auto || !this.#isLater(messageId)) return;
    this.#compactions.add(messageId);
    this.#prompts.add(messageId);
  }

  #noteUser(id: string): void {
    if (!this.#continues || this.#prompts.has(id) || !this.#isLater(id)) return;
    this.#prompts.add(id);
    this.#continues = false;
  }

  #noteSummary({ id, parentId }: DecodedMessage): void {
    if (this.#summaries.has(id) || !this.#compactions.has(parentId ?? '')) return;
    this.#summaries.add(id);
    this.#continues = true;
  }

  /** Message ids are in the order of time. */
  #isLater(id: string): boolean {
    return id > this.#messageId;
  }
}
