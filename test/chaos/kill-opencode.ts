import { createSupervisor, type TurnResult } from '../../index.ts';
import { holdings, processesWith } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

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
export async function killOpencode({ runs, random, onTurn }: KillOptions): Promise<KillReport> {
  const violations: string[] = [];
  const noted = (kind: string) => (error: unknown) => violations.push(`${kind}: ${String(error)}`);
  const onRejection = noted('unhandled rejection');
  const onWarning = noted('warning');
  process.on('unhandledRejection', onRejection);
  process.on('warning', onWarning);
  const before = holdings();
  const world = await OpencodeWorld.create();
  const turns: KilledTurn[] = [];
  const restart = { maxRestarts: runs + 1, windowMs: 3_600_000, backoff: { baseMs: 1, maxMs: 1 } };
  const supervisor = createSupervisor({ backends: { code: world.backend({ restart }) } });
  const settlements = new Map<string, number>();
  supervisor.on('turn', (event) => {
    if (event.type === 'settled') settlements.set(event.turnId, (settlements.get(event.turnId) ?? 0) + 1);
  });
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
    await world.remove();
    process.off('unhandledRejection', onRejection);
    process.off('warning', onWarning);
  }
  violations.push(...leftovers(before, world.root));
  return { turns, violations };
}

function leftovers(before: ReturnType<typeof holdings>, root: string): string[] {
  const after = holdings();
  const left: string[] = [];
  if (processesWith(root).length > 0) left.push(`processes left: ${processesWith(root).join(', ')}`);
  const children = after.childProcesses.filter((pid) => !before.childProcesses.includes(pid));
  if (children.length > 0) left.push(`child processes left: ${children.join(', ')}`);
  if (after.sockets > before.sockets) left.push(`${after.sockets - before.sockets} sockets left`);
  if (after.pipes > before.pipes) left.push(`${after.pipes - before.pipes} pipes left`);
  if (after.exitListeners > before.exitListeners) left.push('exit listeners left');
  return left;
}
