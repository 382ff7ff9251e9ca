import { parseArgs } from 'node:util';
import {
  type AgentUnderTest,
  gooseAgent,
  opencodeAcpAgent,
  opencodeServer,
  qwenAgent,
} from '../fixtures/agent-worlds.ts';
import { seededRandom } from '../fixtures/seeded-random.ts';
import { cancelTurns, PHASES } from './cancel-turns.ts';
import { crowd } from './crowd.ts';
import { manyDirectories } from './directories.ts';
import { linesOf, violationsOf } from './directories-report.ts';
import { killAgent } from './kill-agent.ts';
import { killHost } from './kill-host.ts';
import { killOpencode } from './kill-opencode.ts';
import { killStore } from './kill-store.ts';
import { restartHost } from './restart-host.ts';

const AGENTS: Readonly<Record<string, AgentUnderTest>> = {
  goose: gooseAgent,
  qwen: qwenAgent,
  'opencode-acp': opencodeAcpAgent,
  'opencode-server': opencodeServer,
};
const USAGE = `npm run chaos -- [kill|cancel|store|host|restart] [--of ${Object.keys(AGENTS).join('|')}] [--runs 50] [--seed 1] [--guardian]
npm run chaos -- crowd --of goose|qwen|opencode-acp [--chats 24] [--places 4] [--prompts 5] [--seed 1]
npm run chaos -- directories [--count 500] [--warm 8] [--ceiling 8000]`;
const KINDS = ['kill', 'cancel', 'store', 'host', 'restart', 'crowd', 'directories'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    of: { type: 'string', default: 'opencode-server' },
    runs: { type: 'string', default: '50' },
    guardian: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    chats: { type: 'string', default: '24' },
    places: { type: 'string', default: '4' },
    prompts: { type: 'string', default: '5' },
    count: { type: 'string', default: '500' },
    warm: { type: 'string', default: '8' },
    ceiling: { type: 'string', default: '8000' },
  },
});
const [what = 'kill'] = positionals;
const agent = AGENTS[values.of];
if (!agent || !KINDS.includes(what)) throw new Error(USAGE);
if (what === 'crowd' && agent === opencodeServer) throw new Error(USAGE);
if (what !== 'store' && !agent.isInstalled) throw new Error(`${agent.name} is not installed: npm run agents`);

const runs = Number(values.runs);
const random = seededRandom(Number(values.seed));
const print = (line: string) => process.stdout.write(`${line}\n`);
const onTurn = (turn: object, index: number) => print(`${String(index + 1).padStart(4)} ${JSON.stringify(turn)}`);
const CROWD = `${values.chats} chats of ${agent.name} over ${values.places} places`;
const WHAT: Readonly<Record<string, string>> = {
  kill: `SIGKILL of ${agent.name}`,
  cancel: `cancel of a turn of ${agent.name}`,
  restart: `SIGKILL of a host of ${agent.name}, which is started again`,
  store: 'SIGKILL of a host that writes its store',
  host: `SIGKILL of a host of ${agent.name}${values.guardian ? ', and of its guardian' : ''}`,
};
const heading = { crowd: CROWD, directories: `${values.count} directories on a server` }[what];
print(`${heading ?? `${runs} × ${WHAT[what] ?? ''}`}, seed ${values.seed}`);

const violations = await run(agent);
print(violations.length === 0 ? '0 violations' : `${violations.length} violations\n${violations.join('\n')}`);
process.exitCode = violations.length === 0 ? 0 : 1;

async function run(of: AgentUnderTest): Promise<readonly string[]> {
  if (what === 'store') return runStore();
  if (what === 'host') return runHosts(of);
  if (what === 'restart') return runRestarts(of);
  if (what === 'crowd') return runCrowd(of);
  if (what === 'directories') return runDirectories();
  if (what === 'cancel') {
    const report = await cancelTurns({ agent: of, runs, random, onTurn });
    print(countsOf(report.turns));
    for (const phase of PHASES) {
      const turns = report.turns.filter((turn) => turn.phase === phase);
      print(`${phase}: ${turns.length}, ${spread(turns.map(({ settledMs }) => settledMs))} after the request`);
    }
    print(`processes retired: ${report.turns.filter(({ isRetired }) => isRetired).length}`);
    return report.violations;
  }
  if (of === opencodeServer) {
    const report = await killOpencode({ runs, random, onTurn });
    print(countsOf(report.turns));
    print(`settled ${spread(report.turns.map((turn) => turn.settledAfterKillMs))} after the kill`);
    print(executionsOf(report.turns));
    return report.violations;
  }
  const report = await killAgent({ agent: of, runs, random, onTurn });
  print(countsOf(report.turns));
  const during = report.turns.filter(({ outcome }) => outcome === 'indeterminate');
  print(`settled ${spread(during.map((turn) => turn.settledAfterExitMs))} after the exit`);
  print(executionsOf(report.turns));
  return report.violations;
}

async function runStore(): Promise<readonly string[]> {
  const { kills, violations: found } = await killStore({ runs, random, onRun: onTurn });
  const writes = kills.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  print(
    `\n${kills.length} kills, ${writes} acknowledged writes, ${kills.filter(({ isNewFile }) => isNewFile).length} new files`,
  );
  print(`opened anew in ${spread(kills.map(({ openedInMs }) => openedInMs))}`);
  return found;
}

async function runHosts(of: AgentUnderTest): Promise<readonly string[]> {
  const { turns, violations: found } = await killHost({ agent: of, runs, random, guardian: values.guardian, onTurn });
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  const running = sum(turns.map((turn) => turn.running));
  print(
    `\n${turns.length} hosts, ${running} processes running at the kill, ${sum(turns.map(({ left }) => left))} left`,
  );
  print(
    `all gone ${spread(turns.map(({ goneMs }) => goneMs))} after ${values.guardian ? 'the next start' : 'the kill'}`,
  );
  return found;
}

async function runRestarts(of: AgentUnderTest): Promise<readonly string[]> {
  const { turns, violations: found } = await restartHost({ agent: of, runs, random, onTurn });
  const accounts = turns.map(({ account }) => account);
  const counts = [...new Set(accounts)].map((one) => `${accounts.filter((other) => other === one).length} ${one}`);
  const known = turns.filter(({ account }) => account !== 'unaccounted').length;
  const repeated = turns.filter(({ executions }) => executions > 1).length;
  print(`\n${turns.length} hosts restarted, ${known} turns accounted for, ${repeated} executed twice`);
  print(counts.join(', '));
  print(`opened again ${spread(turns.map(({ openedMs }) => openedMs))} after the kill`);
  print(executionsOf(turns));
  return found;
}

async function runCrowd(of: AgentUnderTest): Promise<readonly string[]> {
  const [chats, places, prompts] = [Number(values.chats), Number(values.places), Number(values.prompts)];
  const report = await crowd({ agent: of, chats, places, prompts, random, maxRestMs: 8_000, onTurn });
  const { turns, evictions, restores, mostProcesses } = report;
  print(countsOf(turns));
  print(`${evictions} evictions, ${restores} restores, ${mostProcesses} processes at once`);
  const firstWords = (isRestored: boolean) =>
    turns.filter((turn) => turn.isRestored === isRestored).flatMap(({ firstWordsMs = [] }) => firstWordsMs);
  print(`first words of a warm one: ${spread(firstWords(false))}`);
  print(`of a restored one, with its wait for a place: ${spread(firstWords(true))}`);
  return report.violations;
}

async function runDirectories(): Promise<readonly string[]> {
  const options = { count: Number(values.count), ceilingMb: Number(values.ceiling), onSample: onTurn };
  const limited = await manyDirectories({ ...options, maxWarm: Number(values.warm) });
  print('\nwithout limits');
  const control = await manyDirectories(options);
  print(linesOf({ limited, control }).join('\n'));
  return violationsOf({ limited, control });
}

function countsOf(turns: readonly { readonly outcome: string }[]): string {
  const counts = ['completed', 'cancelled', 'failed', 'indeterminate'].map(
    (outcome) => `${turns.filter((turn) => turn.outcome === outcome).length} ${outcome}`,
  );
  return `\n${turns.length} turns: ${counts.join(', ')}`;
}

function executionsOf(turns: readonly { readonly executions: number }[]): string {
  const times = (count: number) => turns.filter(({ executions }) => executions === count).length;
  return `executions: ${times(1)} × once, ${times(0)} × never`;
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)] ?? '-'} ms (median), ${sorted.at(-1) ?? '-'} ms (longest)`;
}
