import { createSupervisor, type TurnResult } from '../../index.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { countSettlements } from './settlements.ts';
import { watched } from './watched.ts';

/** One turn during which the server was killed. */
export interface KilledTurn {
  readonly killedAfterMs: number;
  readonly outcome: TurnResult['outcome'];
  readonly settlements: number;
  readonly executions: number;
  readonly settledAfterKillMs: number;
}

export interface KillReport {
  readonly turns: readonly KilledTurn[];
  /** Violations, in words. Empty is what everybody wants. */
  readonly violations: readonly string[];
}

export interface KillOptions {
  readonly runs: number;
  /** Numbers in [0, 1): when to kill. */
  readonly random: () => number;
  readonly onTurn?: (turn: KilledTurn, index: number) => void;
}

const PROMPT_MS = 1_600;

/** Kills the real server with SIGKILL at a random moment of each of many turns, and counts what that costs. */
export async function killOpencode(options: KillOptions): Promise<KillReport> {
  const violations: string[] = [];
  const turns = await watched(violations, (world) => kill(world, options, violations));
  return { turns, violations };
}

async function kill(
  world: OpencodeWorld,
  { runs, random, onTurn }: KillOptions,
  violations: string[],
): Promise<readonly KilledTurn[]> {
  const turns: KilledTurn[] = [];
  const restart = { maxRestarts: runs + 1, windowMs: 3_600_000, backoff: { baseMs: 1, maxMs: 1 } };
  const supervisor = createSupervisor({
    backends: { code: world.backend({ restart }) },
    stateDirectory: world.directory('supervisor-state'),
  });
  const settlements = countSettlements(supervisor);
  try {
    const session = await supervisor.openSession({ backend: 'code', directory: world.directory() });
    for (let index = 0; index < runs; index += 1) {
      const nonce = `nonce-${index}-${Math.trunc(random() * 1e9)}`;
      await supervisor.backend('code').start();
      const turn = session.prompt(
        `${nonce} [[words 40 every 15]][[tool bash {"command":"sleep 0.3","description":"s"}]][[words 20 every 15]]`,
      );
      const killedAfterMs = Math.round(random() * PROMPT_MS);
      await new Promise((resolve) => setTimeout(resolve, killedAfterMs));
      const { pid } = supervisor.backend('code').status();
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      const killedAt = performance.now();
      const { outcome } = await turn.result;
      const settledAfterKillMs = Math.round(performance.now() - killedAt);
      const executions = world.model.executionsOf(nonce);
      const killed = {
        killedAfterMs,
        outcome,
        settlements: settlements.get(turn.id) ?? 0,
        executions,
        settledAfterKillMs,
      };
      turns.push(killed);
      onTurn?.(killed, index);
      if (killed.settlements !== 1) violations.push(`turn ${index} settled ${killed.settlements} times`);
      if (executions > 1) violations.push(`turn ${index} was executed ${executions} times`);
      if (outcome === 'completed' && executions === 0)
        violations.push(`turn ${index} completed without being executed`);
      if (outcome === 'failed') violations.push(`turn ${index} failed: ${JSON.stringify((await turn.result).error)}`);
    }
    const last = await session.prompt('[[say still here]]').result;
    if (last.text !== 'still here') violations.push(`the next prompt did not work: ${JSON.stringify(last)}`);
  } finally {
    await supervisor.stop({ graceMs: 0 });
  }
  return turns;
}
