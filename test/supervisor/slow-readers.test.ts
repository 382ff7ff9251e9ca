import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../index.ts';
import { runningWorld } from '../fixtures/running-turn.ts';

const retry = (attempt: number): AgentEvent => ({ type: 'retry', attempt, message: '' });
const turn = { maxBufferedEvents: 80, inactivityTimeoutMs: 8_000 };

/** A turn whose only reader has read one event and has far more before it. */
async function worldOfSlowReader() {
  const world = await runningWorld({ supervisor: { turn } });
  const reader = world.turn[Symbol.asyncIterator]();
  const say = (count: number) => {
    for (let attempt = 0; attempt < count; attempt += 1) world.agent.sink.emit(retry(attempt));
  };
  say(1);
  await reader.next();
  say(40);
  const read = async (count: number) => {
    for (let events = 0; events < count; events += 1) await reader.next();
  };
  return { ...world, read, say, held: () => world.agent.calls.filter((call) => call === 'hold' || call === 'let go') };
}

describe('an agent whose turn is read slowly', () => {
  it('waits until its reader has caught up', async () => {
    const { held, read } = await worldOfSlowReader();
    expect(held()).toEqual(['hold']);
    await read(36);
    expect(held()).toEqual(['hold', 'let go']);
  });

  it('is not inactive while it waits for a reader that goes on reading', async () => {
    const { held, read, clock, turn: waiting } = await worldOfSlowReader();
    for (let round = 0; round < 3; round += 1) {
      await clock.advance(9_000);
      await read(1);
      await clock.advance(1_000);
    }
    expect(held()).toEqual(['hold', 'hold', 'hold', 'hold']);
    await clock.advance(10_000);
    expect(held().at(-1)).toBe('let go');
    await clock.advance(30_000);
    expect(await waiting.result).toMatchObject({ error: { code: 'ERR_TURN_INACTIVE' } });
  });

  it('waits ten seconds for one that reads nothing any more, which then loses the oldest and is told', async () => {
    const { held, read, say, clock, agent, turn: running } = await worldOfSlowReader();
    await clock.advance(10_000);
    expect(held()).toEqual(['hold', 'let go']);
    say(200);
    expect(held()).toEqual(['hold', 'let go']);
    const reader = running[Symbol.asyncIterator]();
    expect(await reader.next()).toEqual({ done: false, value: { type: 'dropped', count: 161 } });
    await read(0);
    agent.complete();
    await clock.advance(0);
    expect(await running.result).toMatchObject({ outcome: 'completed' });
  });
});
