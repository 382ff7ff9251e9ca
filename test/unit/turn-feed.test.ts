import { describe, expect, it } from 'vitest';
import { TurnFeed } from '../../actors/turn/turn-feed.ts';
import type { AgentEvent } from '../../index.ts';

const limits = { maxBufferedEvents: 100, maxTextBytes: 10_000 };
const text = (content: string, messageId = 'm'): AgentEvent => ({ type: 'text', text: content, messageId });
const retry = (attempt: number): AgentEvent => ({ type: 'retry', attempt, message: '' });

async function read(feed: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of feed) events.push(event);
  return events;
}

describe('the events of a turn', () => {
  it('are given whole to each reader, whenever it comes', async () => {
    const feed = new TurnFeed(limits);
    feed.push(retry(1));
    const early = read(feed);
    feed.push(retry(2));
    feed.end();
    const late = read(feed);
    expect(await early).toEqual([retry(1), retry(2)]);
    expect(await late).toEqual([retry(1), retry(2)]);
  });

  it('reach a waiting reader one by one', async () => {
    const feed = new TurnFeed(limits);
    const reader = feed[Symbol.asyncIterator]();
    const first = reader.next();
    feed.push(text('a'));
    expect(await first).toEqual({ done: false, value: text('a') });
    feed.push(text('b'));
    expect(await reader.next()).toEqual({ done: false, value: text('b') });
  });

  it('may be what cannot be written down', async () => {
    const feed = new TurnFeed(limits);
    const raw: Record<string, unknown> = {};
    raw['itself'] = raw;
    feed.push({ type: 'unknown', raw });
    feed.end();
    expect(await read(feed)).toEqual([{ type: 'unknown', raw }]);
  });

  it('grow in place where they are text of one message that nobody has read', async () => {
    const feed = new TurnFeed(limits);
    for (const event of [text('a'), text('b'), text('c', 'other'), text('d', 'other'), retry(1), text('e')])
      feed.push(event);
    feed.end();
    expect(await read(feed)).toEqual([text('ab'), text('cd', 'other'), retry(1), text('e')]);
  });

  it('never change once they are read', async () => {
    const feed = new TurnFeed(limits);
    feed.push(text('a'));
    const reader = feed[Symbol.asyncIterator]();
    const { value } = await reader.next();
    feed.push(text('b'));
    expect(value).toEqual(text('a'));
    expect(await reader.next()).toEqual({ done: false, value: text('b') });
  });

  it('keep text of subagents apart from the agent’s own', async () => {
    const feed = new TurnFeed(limits);
    const origin = { subagentSessionId: 'child' };
    feed.push(text('a'));
    feed.push({ ...text('b'), origin });
    feed.end();
    expect(await read(feed)).toEqual([text('a'), { ...text('b'), origin }]);
  });

  it('are bounded in number: a reader that missed some is told how many', async () => {
    const feed = new TurnFeed({ ...limits, maxBufferedEvents: 3 });
    for (let attempt = 1; attempt <= 5; attempt += 1) feed.push(retry(attempt));
    feed.end();
    expect(await read(feed)).toEqual([{ type: 'dropped', count: 2 }, retry(3), retry(4), retry(5)]);
  });

  it('are bounded in text, but the last event is never dropped', async () => {
    const feed = new TurnFeed({ ...limits, maxTextBytes: 10 });
    feed.push(text('x'.repeat(8), 'one'));
    feed.push(text('y'.repeat(8), 'two'));
    feed.push(text('z'.repeat(40), 'three'));
    feed.end();
    expect(await read(feed)).toEqual([{ type: 'dropped', count: 2 }, text('z'.repeat(40), 'three')]);
  });

  it('are bounded in text also where nobody reads and all of it is one message', async () => {
    const feed = new TurnFeed({ ...limits, maxTextBytes: 1_000 });
    for (let count = 0; count < 10_000; count += 1) feed.push(text('x'.repeat(10)));
    feed.end();
    const [first, ...kept] = await read(feed);
    expect(first?.type).toBe('dropped');
    const length = kept.map((event) => ('text' in event ? event.text.length : 0)).reduce((sum, size) => sum + size, 0);
    expect([length > 700, length <= 1_000]).toEqual([true, true]);
  });

  it('leave a fast reader whole while a slow one loses some', async () => {
    const feed = new TurnFeed({ ...limits, maxBufferedEvents: 2 });
    const slow = feed[Symbol.asyncIterator]();
    const fast = feed[Symbol.asyncIterator]();
    const seen: AgentEvent[] = [];
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      feed.push(retry(attempt));
      seen.push((await fast.next()).value as AgentEvent);
    }
    expect(seen).toEqual([1, 2, 3, 4].map(retry));
    expect((await slow.next()).value).toEqual({ type: 'dropped', count: 2 });
  });

  it('end without throwing for a reader that breaks off, also while it waits', async () => {
    const feed = new TurnFeed(limits);
    feed.push(retry(1));
    for await (const event of feed) {
      expect(event).toEqual(retry(1));
      break;
    }
    const reader = feed[Symbol.asyncIterator]();
    await reader.next();
    const waiting = reader.next();
    await reader.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    feed.push(retry(2));
    feed.end();
    expect(await read(feed)).toHaveLength(2);
  });
});

describe('the readers of a turn', () => {
  const bounds = { maxBufferedEvents: 160, maxTextBytes: 16_000 }; // Behind from more than 20 events or 2,000 characters.

  function watched() {
    const told: boolean[] = [];
    const feed = new TurnFeed(bounds, (isBehind) => void told.push(isBehind));
    const fill = (count: number) => {
      for (let attempt = 0; attempt < count; attempt += 1) feed.push(retry(attempt));
    };
    return { feed, told, fill };
  }

  it('are behind when much is unread, and no longer when half of that is read', async () => {
    const { feed, told, fill } = watched();
    const reader = feed[Symbol.asyncIterator]();
    fill(1);
    await reader.next();
    fill(20);
    expect(told).toEqual([]);
    fill(1);
    expect(told).toEqual([true]);
    for (let count = 0; count < 10; count += 1) await reader.next();
    expect(told).toEqual([true]);
    await reader.next();
    expect(told).toEqual([true, false]);
  });

  it('are behind of much text, too, which grows in place', async () => {
    const { feed, told } = watched();
    const reader = feed[Symbol.asyncIterator]();
    feed.push(retry(1));
    await reader.next();
    for (let count = 0; count < 3; count += 1) feed.push(text('x'.repeat(700)));
    expect(told).toEqual([true]);
    await reader.next();
    expect(told).toEqual([true, false]);
  });

  it('are behind no longer when they leave, or the turn is over', async () => {
    for (const leave of ['return', 'end'] as const) {
      const { feed, told, fill } = watched();
      const reader = feed[Symbol.asyncIterator]();
      fill(1);
      await reader.next();
      fill(30);
      if (leave === 'return') await reader.return?.();
      else feed.end();
      expect(told).toEqual([true, false]);
    }
  });

  it('are not behind where there are none, nor where one of them keeps up', async () => {
    const { feed, told, fill } = watched();
    fill(150);
    expect(told).toEqual([]);
    const [slow, quick] = [feed[Symbol.asyncIterator](), feed[Symbol.asyncIterator]()];
    for (let count = 0; count < 150; count += 1) await quick.next();
    expect(told.splice(0)).toEqual([true, false]);
    await slow.next();
    fill(20);
    expect(told).toEqual([]);
  });

  it('that are outrun by the bounds are behind by what is kept', async () => {
    const { feed, told, fill } = watched();
    const reader = feed[Symbol.asyncIterator]();
    fill(1);
    await reader.next();
    fill(1_000);
    expect(told).toEqual([true]);
    expect(await reader.next()).toEqual({ done: false, value: { type: 'dropped', count: 840 } });
    for (let count = 0; count < 151; count += 1) await reader.next();
    expect(told).toEqual([true, false]);
  });
});
