import { setTimeout as pause } from 'node:timers/promises';
import { createSupervisor, type TurnResult } from '../../index.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { isAlive } from '../fixtures/leftovers.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { countSettlements } from './settlements.ts';
import { watched } from './watched.ts';

/** One turn during which its agent was killed. */
export interface KilledAgentTurn {
  readonly killedAfterMs: number;
  readonly outcome: TurnResult['outcome'];
  readonly settlements: number;
  readonly executions: number;
  /** From the exit of the process to the settlement of the turn; 0 where it had settled before. */
  readonly settledAfterExitMs: number;
}

export interface AgentKillOptions {
  readonly agent: AgentUnderTest;
  readonly runs: number;
  /** Numbers in [0, 1): when to kill. */
  readonly random: () => number;
  readonly onTurn?: (turn: KilledAgentTurn, index: number) => void;
}

const PROMPT_MS = 800;
const MAX_SETTLE_MS = 250;

/** Kills a real agent with SIGKILL at a random moment of each of many turns, and counts what that costs. */
export async function killAgent(
  options: AgentKillOptions,
): Promise<{ readonly turns: readonly KilledAgentTurn[]; readonly violations: readonly string[] }> {
  const violations: string[] = [];
  const turns = await watched(violations, (world) => kill(world, options, violations));
  return { turns, violations };
}

async function kill(
  world: OpencodeWorld,
  { agent, runs, random, onTurn }: AgentKillOptions,
  violations: string[],
): Promise<readonly KilledAgentTurn[]> {
  const turns: KilledAgentTurn[] = [];
  const restart = { maxRestarts: 2 * runs + 1, windowMs: 3_600_000, backoff: { baseMs: 1, maxMs: 1 } };
  const supervisor = createSupervisor({
    backends: { agent: agent.backend(world, { restart }) },
    stateDirectory: world.directory('supervisor-state'),
    onPermission: () => ({ outcome: 'allow_once' }),
  });
  const settlements = countSettlements(supervisor);
  const handle = supervisor.backend('agent');
  try {
    const session = await supervisor.openSession({ backend: 'agent', directory: world.directory() });
    const script = `[[words 20 every 10]]${agent.shell('sleep 0.2')}[[words 20 every 10]]`;
    for (let index = 0; index < runs; index += 1) {
      const { pid = 0 } = await handle.start();
      const nonce = `nonce-${index}-${Math.trunc(random() * 1e9)}`;
      const killedAfterMs = Math.round(random() * PROMPT_MS);
      const turn = session.prompt(`[[fresh]]${nonce} ${script}`);
      let settledAt = Number.POSITIVE_INFINITY;
      const settled = turn.result.then((result) => {
        settledAt = performance.now();
        return result;
      });
      await pause(killedAfterMs);
      process.kill(pid, 'SIGKILL');
      while (isAlive(pid)) await pause(1);
      const exitedAt = performance.now();
      const { outcome, error } = await settled;
      const killed = {
        killedAfterMs,
        outcome,
        settlements: settlements.get(turn.id) ?? 0,
        executions: agent.executionsOf(world, nonce),
        settledAfterExitMs: Math.max(0, Math.round(settledAt - exitedAt)),
      };
      turns.push(killed);
      onTurn?.(killed, index);
      if (killed.settlements !== 1) violations.push(`turn ${index} settled ${killed.settlements} times`);
      if (killed.executions > 1) violations.push(`turn ${index} was executed ${killed.executions} times`);
      if (outcome === 'failed' || outcome === 'cancelled')
        violations.push(`turn ${index} was ${outcome}: ${JSON.stringify(error)}`);
      if (killed.settledAfterExitMs > MAX_SETTLE_MS)
        violations.push(`turn ${index} settled ${killed.settledAfterExitMs} ms after the exit`);
      const next = await session.prompt('[[fresh]][[say still here]]').result;
      if (next.text !== 'still here')
        violations.push(`the prompt after turn ${index} did not work: ${JSON.stringify(next)}`);
    }
  } finally {
    await supervisor.stop({ graceMs: 0 });
  }
  return turns;
}
