import type { AgentEvent } from '../contract/events.ts';

/** Bounds of the events kept for the readers of one turn. */
export interface FeedLimits {
  readonly maxBufferedEvents: number;
  /** Bound of the text in them, in characters. */
  readonly maxTextBytes: number;
}

/** So much of the bounds may be unread before the source is asked to wait, and half of that before it may go on. */
const UNREAD_SHARE = 8;

/** Merged text stays below this part of the bound, so that dropping the oldest leaves most of it. */
const MERGED_SHARE = 4;

interface Kept {
  readonly event: AgentEvent;
  size: number;
}

const DONE = { done: true, value: undefined } as const;
type Result = IteratorResult<AgentEvent, undefined>;

/**
 * The events of one turn, for any number of readers at their own pace. Text of one message that nobody has read yet
 * grows in place; only past the bounds is anything dropped, the oldest first, and a reader that missed it is told. Long
 * before that, the source is told that its readers are behind; without a reader nobody is.
 */
export class TurnFeed implements AsyncIterable<AgentEvent> {
  readonly #limits: FeedLimits;
  readonly #waiting = new Set<() => void>();
  #kept: Kept[] = [];
  /** Position of the first kept event, and of the first one that no reader has read. */
  #start = 0;
  #unread = 0;
  #size = 0;
  /** The weight of what no reader has read. */
  #unreadSize = 0;
  #readers = 0;
  #isBehind = false;
  #ended = false;
  readonly #onBehind: (isBehind: boolean) => void;

  /** `onBehind`: the fastest reader has a lot before it, or no longer. */
  constructor(limits: FeedLimits, onBehind: (isBehind: boolean) => void = () => undefined) {
    this.#limits = limits;
    this.#onBehind = onBehind;
  }

  /** How far the fastest reader has come. */
  get readTo(): number {
    return this.#unread;
  }

  push(event: AgentEvent): void {
    if (this.#ended) return;
    const size = sizeOf(event);
    if (!this.#merge(event, size)) this.#kept.push({ event: isSaid(event) ? { ...event } : event, size });
    this.#size += size;
    this.#unreadSize += size;
    while (this.#isOverfull()) this.#dropOldest();
    this.#judgeReaders();
    this.#wake();
  }

  /** No more events come; readers end when they have read what is kept. */
  end(): void {
    this.#ended = true;
    this.#judgeReaders();
    this.#wake();
  }

  [Symbol.asyncIterator](): AsyncIterator<AgentEvent, undefined> {
    let position = 0;
    let closed = false;
    let isReading = false;
    let wake: (() => void) | undefined;
    const read = (): Result | undefined => {
      if (closed) return DONE;
      if (position < this.#start) return this.#missed(position, (position = this.#start));
      const kept = this.#kept[position - this.#start];
      if (kept === undefined) return this.#ended ? DONE : undefined;
      position += 1;
      this.#readOn(position, kept);
      return { done: false, value: kept.event };
    };
    const next = async (): Promise<Result> => {
      if (!isReading && !closed) this.#countReaders(1);
      isReading = true;
      for (;;) {
        const result = read();
        if (result) return result;
        await new Promise<void>((resolve) => this.#waiting.add((wake = resolve)));
      }
    };
    const stop = (): Promise<Result> => {
      if (isReading && !closed) this.#countReaders(-1);
      closed = true;
      wake?.();
      return Promise.resolve(DONE);
    };
    return { next, return: stop };
  }

  #countReaders(change: number): void {
    this.#readers += change;
    this.#judgeReaders();
  }

  #readOn(position: number, { size }: Kept): void {
    if (position <= this.#unread) return;
    this.#unread = position;
    this.#unreadSize -= size;
    this.#judgeReaders();
  }

  #judgeReaders(): void {
    const share = this.#isBehind ? UNREAD_SHARE * 2 : UNREAD_SHARE;
    const { maxBufferedEvents, maxTextBytes } = this.#limits;
    const unread = this.#start + this.#kept.length - this.#unread;
    const isFar = unread > maxBufferedEvents / share || this.#unreadSize > maxTextBytes / share;
    const isBehind = isFar && this.#readers > 0 && !this.#ended;
    if (isBehind === this.#isBehind) return;
    this.#isBehind = isBehind;
    this.#onBehind(isBehind);
  }

  #missed(from: number, to: number): Result {
    return { done: false, value: { type: 'dropped', count: to - from } };
  }

  /** Adds text to the last event where that is text of the same message and nobody has read it. */
  #merge(event: AgentEvent, size: number): boolean {
    const kept = this.#kept.at(-1);
    if (!kept || this.#unread >= this.#start + this.#kept.length) return false;
    const { event: last } = kept;
    if (!isSaid(event) || !isSaid(last)) return false;
    if (last.type !== event.type || last.messageId !== event.messageId) return false;
    if (last.origin?.subagentSessionId !== event.origin?.subagentSessionId) return false;
    if (last.text.length + event.text.length > this.#limits.maxTextBytes / MERGED_SHARE) return false;
    last.text += event.text; // Nobody has seen it, and it is ours.
    kept.size += size;
    return true;
  }

  #isOverfull(): boolean {
    const { maxBufferedEvents, maxTextBytes } = this.#limits;
    return this.#kept.length > maxBufferedEvents || (this.#size > maxTextBytes && this.#kept.length > 1);
  }

  #dropOldest(): void {
    const oldest = this.#kept.shift();
    this.#start += 1;
    if (!oldest) return;
    this.#size -= oldest.size;
    if (this.#unread >= this.#start) return;
    this.#unread = this.#start;
    this.#unreadSize -= oldest.size;
  }

  #wake(): void {
    if (this.#waiting.size === 0) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume();
  }
}

type Said = Extract<AgentEvent, { type: 'text' | 'reasoning' }>;

const isSaid = (event: AgentEvent): event is Said => event.type === 'text' || event.type === 'reasoning';

/** What an event weighs, in characters of its text. */
function sizeOf(event: AgentEvent): number {
  if (isSaid(event)) return event.text.length;
  if (event.type === 'tool') return (event.tool.output?.length ?? 0) + weigh(event.tool.input);
  if (event.type === 'unknown') return weigh(event.raw);
  return event.type === 'permission' ? weigh(event.request.metadata) : 0;
}

/** What cannot be written as JSON, because it is nested too deep, is not light. */
const UNWEIGHABLE = 1024 * 1024;

/** The length of a value as JSON. */
function weigh(value: unknown): number {
  if (value === undefined) return 0;
  try {
    return JSON.stringify(value).length;
  } catch {
    return UNWEIGHABLE; // RangeError: too deep.
  }
}
