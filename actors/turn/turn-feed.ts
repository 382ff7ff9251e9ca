import type { AgentEvent } from '../contract/events.ts';

/** Bounds of the events kept for the readers of one turn. */
export interface FeedLimits {
  readonly maxBufferedEvents: number;
  /** Bound of the text in them, in characters. */
  readonly maxTextBytes: number;
}

/** Merged text stays below this part of the bound, so that dropping the oldest leaves most of it. */
const MERGED_SHARE = 4;

const DONE = { done: true, value: undefined } as const;
type Result = IteratorResult<AgentEvent, undefined>;

/**
 * The events of one turn, for any number of readers at their own pace. Text of one message that nobody has read yet
 * grows in place; only past the bounds is anything dropped, the oldest first, and a reader that missed it is told.
 */
export class TurnFeed implements AsyncIterable<AgentEvent> {
  readonly #limits: FeedLimits;
  readonly #waiting = new Set<() => void>();
  #events: AgentEvent[] = [];
  /** Position of the first kept event, and of the first one that no reader has read. */
  #start = 0;
  #unread = 0;
  #size = 0;
  #ended = false;

  constructor(limits: FeedLimits) {
    this.#limits = limits;
  }

  push(event: AgentEvent): void {
    if (this.#ended) return;
    if (!this.#merge(event)) this.#events.push(event);
    this.#size += sizeOf(event);
    while (this.#isOverfull()) this.#dropOldest();
    this.#wake();
  }

  /** No more events come; readers end when they have read what is kept. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  [Symbol.asyncIterator](): AsyncIterator<AgentEvent, undefined> {
    let position = 0;
    let closed = false;
    let wake: (() => void) | undefined;
    const read = (): Result | undefined => {
      if (closed) return DONE;
      if (position < this.#start) return this.#missed(position, (position = this.#start));
      const event = this.#events[position - this.#start];
      if (event === undefined) return this.#ended ? DONE : undefined;
      position += 1;
      this.#unread = Math.max(this.#unread, position);
      return { done: false, value: event };
    };
    const next = async (): Promise<Result> => {
      for (;;) {
        const result = read();
        if (result) return result;
        await new Promise<void>((resolve) => this.#waiting.add((wake = resolve)));
      }
    };
    const stop = (): Promise<Result> => {
      closed = true;
      wake?.();
      return Promise.resolve(DONE);
    };
    return { next, return: stop };
  }

  #missed(from: number, to: number): Result {
    return { done: false, value: { type: 'dropped', count: to - from } };
  }

  /** Adds text to the last event where that is text of the same message and nobody has read it. */
  #merge(event: AgentEvent): boolean {
    const last = this.#events.at(-1);
    if (!last || this.#unread >= this.#start + this.#events.length) return false;
    if (event.type !== 'text' && event.type !== 'reasoning') return false;
    if (last.type !== event.type || last.messageId !== event.messageId) return false;
    if (last.origin?.subagentSessionId !== event.origin?.subagentSessionId) return false;
    if (last.text.length + event.text.length > this.#limits.maxTextBytes / MERGED_SHARE) return false;
    this.#events[this.#events.length - 1] = { ...last, text: last.text + event.text };
    return true;
  }

  #isOverfull(): boolean {
    const { maxBufferedEvents, maxTextBytes } = this.#limits;
    return this.#events.length > maxBufferedEvents || (this.#size > maxTextBytes && this.#events.length > 1);
  }

  #dropOldest(): void {
    const oldest = this.#events.shift();
    if (oldest) this.#size -= sizeOf(oldest);
    this.#start += 1;
  }

  #wake(): void {
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume();
  }
}

/** What an event weighs, in characters of its text. */
function sizeOf(event: AgentEvent): number {
  if (event.type === 'text' || event.type === 'reasoning') return event.text.length;
  if (event.type === 'tool') return (event.tool.output?.length ?? 0) + weigh(event.tool.input);
  if (event.type === 'unknown') return weigh(event.raw);
  return event.type === 'permission' ? weigh(event.request.metadata) : 0;
}

/** The length of a value as JSON. */
function weigh(value: unknown): number {
  return value === undefined ? 0 : JSON.stringify(value).length;
}
