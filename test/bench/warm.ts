import { createSupervisor } from '../../index.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { inTurns, ratioLine } from './side-by-side.ts';

/** A further turn of a warm agent, and a turn for which a process is started and stopped. */
export async function benchWarm(agent: AgentUnderTest, rounds: number, print: (line: string) => void): Promise<void> {
  if (!agent.isInstalled) return void print(`${agent.name} is not installed here: npm run agents`);
  const world = await OpencodeWorld.create();
  const supervisor = createSupervisor({ backends: { agent: agent.backend(world) } });
  const directory = world.directory();
  const open = () => supervisor.openSession({ backend: 'agent', directory });
  const turnOf = async (session: Awaited<ReturnType<typeof open>>) => {
    const result = await session.prompt('[[say ready]]').result;
    if (result.text !== 'ready') throw new Error(`${agent.name} answered ${JSON.stringify(result)}`);
  };
  try {
    const warm = await open();
    await turnOf(warm);
    const [ours, theirs] = await inTurns(rounds, [
      () => timed(() => turnOf(warm)),
      () =>
        timed(async () => {
          const cold = await open();
          await turnOf(cold);
          await cold.close();
        }),
    ]);
    print(ratioLine(`a further turn of a warm ${agent.name}`, 'ms', ours, theirs, 'a process for the turn'));
  } finally {
    await supervisor.stop({ graceMs: 0 });
    await world.remove();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
