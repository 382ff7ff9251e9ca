import { parseArgs } from 'node:util';
import { killOpencode } from './kill-opencode.ts';
import { seededRandom } from '../fixtures/seeded-random.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed);

process.stdout.write(`${runs} × SIGKILL of a real opencode server at random moments of a turn, seed ${seed}\n`);
const report = await killOpencode({
  runs,
  random: seededRandom(seed),
  onTurn: (turn, index) => process.stdout.write(`${String(index + 1).padStart(4)} ${JSON.stringify(turn)}\n`),
});
const counts = ['completed', 'cancelled', 'failed', 'indeterminate'].map(
  (outcome) => `${report.turns.filter((turn) => turn.outcome === outcome).length} ${outcome}`,
);
const latencies = report.turns.map((turn) => turn.settledAfterKillMs).sort((a, b) => a - b);
process.stdout.write(`\n${report.turns.length} turns: ${counts.join(', ')}\n`);
process.stdout.write(
  `settled after the kill: median ${latencies[Math.floor(latencies.length / 2)]} ms, longest ${latencies.at(-1)} ms\n`,
);
process.stdout.write(
  `executions: ${report.turns.filter((turn) => turn.executions === 1).length} × once, ${report.turns.filter((turn) => turn.executions === 0).length} × never\n`,
);
process.stdout.write(
  report.violations.length === 0
    ? '0 violations\n'
    : `${report.violations.length} violations\n${report.violations.join('\n')}\n`,
);
process.exitCode = report.violations.length === 0 ? 0 : 1;
