import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createSupervisor, type ToolCall } from '../../index.ts';
import { gooseAgent } from '../fixtures/agent-worlds.ts';
import { processesCalled, processesWith } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { until } from '../fixtures/until.ts';
import { describeContract } from './contract.ts';

describeContract(gooseAgent);

describe.skipIf(!gooseAgent.isInstalled)('goose with terminals', () => {
  it('runs its commands in them, and what they write is the output of its tool', async () => {
    const world = await OpencodeWorld.create();
    const supervisor = createSupervisor({
      backends: { agent: gooseAgent.backend(world, { terminals: true }) },
      onPermission: () => ({ outcome: 'allow_once' }),
    });
    const session = await supervisor.openSession({ backend: 'agent', directory: world.directory() });
    const tools: ToolCall[] = [];
    const turn = session.prompt(`${gooseAgent.shell('echo hi > done.txt; echo written')}[[say Done]]`);
    for await (const event of turn) if (event.type === 'tool') tools.push(event.tool);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'Done' });
    expect(tools.at(-1)).toMatchObject({ status: 'completed', output: 'written\n' });
    expect(existsSync(join(session.directory, 'done.txt'))).toBe(true);
    const running = session.prompt(gooseAgent.shell('sleep 318'));
    await until('it runs', () => processesCalled('sleep', '318').length > 0, 10_000);
    await supervisor.stop({ graceMs: 0 });
    expect((await running.result).outcome).toBe('cancelled');
    expect(processesWith(world.root)).toEqual([]);
    await world.remove();
  });
});
