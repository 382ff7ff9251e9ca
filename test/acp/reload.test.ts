import { describe, expect, it } from 'vitest';
import { scriptedAgents } from '../fixtures/scripted-agent.ts';
import { until } from '../fixtures/until.ts';

const { start } = scriptedAgents();
const generation = (handle: { status(): { instances: readonly { generation: number }[] } }) =>
  handle.status().instances[0]?.generation;

describe('reload() of an agent', () => {
  it('gives it a new process when its turn is over; the next prompt waits for that, and the session goes on', async () => {
    const { open, handle } = start();
    const session = await open();
    await session.prompt('[[say one]]').result;
    const turn = session.prompt('[[words 20 1 50]]');
    for await (const event of turn) if (event.type === 'text') break;
    const reloaded = handle.reload();
    await until('it drains', () => handle.status().instances[0]?.detail === 'healthy.draining', 5_000);
    const next = session.prompt('[[recall]]');
    expect(generation(handle)).toBe(1);
    expect((await turn.result).outcome).toBe('completed');
    expect((await reloaded).state).toBe('healthy');
    expect([(await next.result).outcome, generation(handle)]).toEqual(['completed', 2]);
  });

  it('that waits for a prompt is done at once', async () => {
    const { open, handle } = start();
    await (await open()).prompt('[[say one]]').result;
    expect([(await handle.reload()).state, generation(handle)]).toEqual(['healthy', 2]);
  });

  it('takes no configuration: that is the agent’s own', async () => {
    const { handle } = start();
    await expect(handle.reload({})).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
  });
});
