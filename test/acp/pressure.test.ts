import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../index.ts';
import { scriptedAgents } from '../fixtures/scripted-agent.ts';

const { start, directory } = scriptedAgents();
const UPDATES = 200_000;

const numberOf = (event: AgentEvent) =>
  event.type === 'tool' ? Number((event.tool.output ?? '').slice(1)) : undefined;
const aMoment = () => new Promise(setImmediate);

describe('a prompt that is answered with very many updates', () => {
  it('delivers all of them in order to a reader that is slower than the agent, and the agent waits', async () => {
    const { open } = start();
    const session = await open();
    const turn = session.prompt(`[[flood ${UPDATES} tools]]`);
    let expected = 0;
    const wrong: AgentEvent[] = [];
    for await (const event of turn) {
      if (numberOf(event) !== expected) wrong.push(event);
      expected += 1;
      if (expected % 10 === 0) await aMoment(); // Other work of the host: meanwhile the agent could write thousands.
    }
    expect([wrong.slice(0, 3), expected]).toEqual([[], UPDATES]);
    expect(await turn.result).toMatchObject({ outcome: 'completed' });
  });

  it('delivers all of its text where nobody reads the events', async () => {
    const { open } = start();
    const session = await open();
    const { outcome, text } = await session.prompt(`[[flood ${UPDATES} text]]`).result;
    expect([outcome, text.split(' ').length, text.endsWith(`w${UPDATES - 1} `)]).toEqual([
      'completed',
      UPDATES + 1,
      true,
    ]);
  });

  it('ends at a cancel while its reader reads nothing', async () => {
    const { open } = start({ supervisor: { turn: { cancelTimeoutMs: 5_000 } } }); // Less than an agent waits for a reader.
    const session = await open();
    const turn = session.prompt('[[flood 100000000 tools]]');
    const reader = turn[Symbol.asyncIterator]();
    for (let count = 0; count < 2_000; count += 1) await reader.next();
    for (let moments = 0; moments < 500; moments += 1) await aMoment(); // The agent fills what there is to fill.
    await turn.cancel();
    const { outcome, error } = await turn.result;
    expect([outcome, error]).toEqual(['cancelled', undefined]);
    expect(await session.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
  });

  it('does not make the other sessions of its process wait', async () => {
    const { open } = start({ agent: { share: 'directory' } });
    const place = directory();
    const [busy, other] = [await open('a', { directory: place }), await open('b', { directory: place })];
    const turn = busy.prompt('[[flood 100000000 tools]]');
    const reader = turn[Symbol.asyncIterator]();
    await reader.next();
    for (let moments = 0; moments < 500; moments += 1) await aMoment();
    const answered = other.prompt('[[say here]]', { deadlineMs: 5_000 }); // Less than an agent waits for a reader.
    expect(await answered.result).toMatchObject({ outcome: 'completed', text: 'here' });
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
  });
});
