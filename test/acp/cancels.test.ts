import { describe, expect, it } from 'vitest';
import { eventsOf, firstText, scriptedAgents, slow } from '../fixtures/scripted-agent.ts';

const { start } = scriptedAgents();

describe('a cancel of an agent’s turn', () => {
  it('ends it, and the same process serves the next one', async () => {
    const { open, handle } = start();
    const session = await open();
    const { pid } = handle.status();
    const turn = session.prompt(slow);
    await firstText(turn);
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await session.prompt('[[say next]]').result).toMatchObject({ text: 'next' });
    expect(handle.status().pid).toBe(pid);
  });

  it('answers what waits for a person, and cancels the tools that are not finished', async () => {
    const { open } = start({ supervisor: { onPermission: () => undefined } });
    const session = await open();
    const turn = session.prompt('[[tool run]][[ask allow_once]]');
    const events = eventsOf(turn);

    for await (const event of turn) if (event.type === 'permission') break;
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    const tools = (await events).flatMap((event) => (event.type === 'tool' ? [event.tool.status] : []));
    expect(tools.at(-1)).toBe('cancelled');
  });

  it('that is ignored ends the process at the time limit, and the next turn works', async () => {
    const { open, handle } = start({ flags: ['ignores-cancels'], supervisor: { turn: { cancelTimeoutMs: 2_000 } } });
    const session = await open();
    const { pid } = handle.status();
    const turn = session.prompt(slow);
    await firstText(turn);
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled', error: { code: 'ERR_CANCEL_TIMEOUT' } });
    const next = session.prompt('[[say next]]', { deadlineMs: 1_500 }); // It waits for nothing that is gone.
    expect(await next.result).toMatchObject({ outcome: 'completed', text: 'next' });
    expect(handle.status().pid).not.toBe(pid);
  });
});
