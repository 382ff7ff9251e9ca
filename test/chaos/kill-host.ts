import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { type Bundle, bundleHostWithFixtures } from '../fixtures/bundled-host.ts';
import { isAlive, processesCalled, processesWith } from '../fixtures/leftovers.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import type { HostTask } from '../fixtures/programs/host.ts';
import { until } from '../fixtures/until.ts';
import { watched } from './watched.ts';

/** One host that was killed, and what it left. */
export interface KilledHost {
  readonly killedAfterMs: number;
  /** What it had said last. */
  readonly phase: string;
  /** Processes of its world at the moment of the kill. */
  readonly running: number;
  /** Those that were there when the time was up. */
  readonly left: number;
  /** Until nothing was left, in milliseconds. */
  readonly goneMs: number;
}

export interface HostKillOptions {
  readonly agent: AgentUnderTest;
  readonly runs: number;
  /** Numbers in [0, 1): when to kill. */
  readonly random: () => number;
  /** Whether the guardian is killed before the host; then a second host has to end what is left. */
  readonly guardian: boolean;
  readonly onTurn?: (killed: KilledHost, index: number) => void;
}

interface Scene extends HostKillOptions {
  readonly world: OpencodeWorld;
  readonly bundle: Bundle;
  readonly violations: string[];
}

interface Host {
  readonly process: ChildProcess;
  readonly lines: string[];
}

const LIMIT_MS = 2_000;
const START_MS = 60_000;
/** How far into the tool a kill may be. */
const TOOL_MS = 400;

/** Kills hosts with SIGKILL at a random moment between their start and the middle of a tool, and counts what they leave. */
export async function killHost(
  options: HostKillOptions,
): Promise<{ readonly turns: readonly KilledHost[]; readonly violations: readonly string[] }> {
  const violations: string[] = [];
  const bundle = await bundleHostWithFixtures();
  const turns = await watched(violations, (world) => killAll({ ...options, world, bundle, violations }));
  bundle.remove();
  return { turns, violations };
}

async function killAll(scene: Scene): Promise<readonly KilledHost[]> {
  const turns: KilledHost[] = [];
  const toolMs = await timeToTool(scene);
  for (let index = 0; index < scene.runs; index += 1) {
    const told = (what: string) => scene.violations.push(`host ${index}: ${what}`);
    const host = start(scene, hiding(scene.agent));
    const killedAfterMs = Math.round(scene.random() * (toolMs + TOOL_MS));
    await pause(killedAfterMs);
    const phase = host.lines.at(-1) ?? 'started';
    const running = processesWith(scene.world.root).length;
    const { left, goneMs } = scene.guardian ? await killBoth(scene, host, told) : await kill(scene, host);
    if (left > 0) told(`${left} processes were left`);
    if (secrets(scene).length > 0) told('private directories were left');
    turns.push({ killedAfterMs, phase, running, left, goneMs });
    scene.onTurn?.(turns.at(-1)!, index);
  }
  return turns;
}

/** The whole turn once: the first start of an agent in a world is slower than those that follow, too. */
async function timeToTool(scene: Scene): Promise<number> {
  for (let index = 0; ; index += 1) {
    const host = start(scene, hiding(scene.agent));
    const toolMs = await until('the tool runs', () => isHidden(scene), START_MS);
    await kill(scene, host);
    if (index === 1) return toolMs;
  }
}

const isHidden = ({ world }: Scene): boolean =>
  processesWith(world.root).some((pid) => read(`/proc/${pid}/cmdline`).startsWith('sleep'));

const hiding = (agent: AgentUnderTest): string =>
  `[[say Working. ]]${agent.shell('setsid nohup sleep 300 >/dev/null 2>&1 & sleep 300')}`;

const stateOf = ({ world }: Scene): string => world.directory('supervisor-state');

const secrets = ({ world }: Scene): readonly string[] => readdirSync(world.directory('tmp')).filter(isPrivate);
const isPrivate = (name: string): boolean => name.startsWith('agent-supervisor-');

function start(scene: Scene, prompt: string): Host {
  const { world, agent, bundle } = scene;
  const task: HostTask = {
    agent: { named: agent.name, root: world.root, modelUrl: world.model.url },
    directory: world.directory('project'),
    prompt,
    stateDirectory: stateOf(scene),
  };
  const host = spawn(process.execPath, [bundle.path, JSON.stringify(task)], {
    env: { ...process.env, TMPDIR: world.directory('tmp') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: host.stdout }).on('line', (line) => lines.push(line));
  return { process: host, lines };
}

/** What is left when the guardian has had its time. */
async function kill(scene: Scene, host: Host): Promise<Pick<KilledHost, 'left' | 'goneMs'>> {
  host.process.kill('SIGKILL');
  const since = performance.now();
  await exited(host);
  let goneMs = LIMIT_MS;
  while (performance.now() - since < LIMIT_MS) {
    if (goneMs === LIMIT_MS && processesWith(scene.world.root).length === 0) goneMs = performance.now() - since;
    await pause(20);
  }
  return { left: processesWith(scene.world.root).length, goneMs: Math.round(goneMs) };
}

/** What is left of the first host when a second one is up. Whose pid stands in the record for no reason lives. */
async function killBoth(
  scene: Scene,
  host: Host,
  told: (what: string) => void,
): Promise<Pick<KilledHost, 'left' | 'goneMs'>> {
  host.process.kill('SIGSTOP'); // It starts no other guardian.
  for (const guardian of processesCalled('agent-supervisor-guardian'))
    if (parentOf(guardian) === host.process.pid) process.kill(guardian, 'SIGKILL');
  host.process.kill('SIGKILL');
  await exited(host);
  const orphans = processesWith(scene.world.root).filter((pid) => pid !== host.process.pid);
  const foreign = plantForeign(join(stateOf(scene), 'processes'));
  const next = start(scene, '[[fresh]][[say Hello]]');
  const since = performance.now();
  const isUp = () => next.lines.some((line) => line === 'healthy' || line === 'open') || next.process.exitCode !== null;
  await until('the next host is up', isUp, START_MS);
  const left = orphans.filter(isAlive).length;
  const goneMs = Math.round(performance.now() - since);
  await exited(next);
  if (next.lines.at(-1) !== 'stopped') told(`the next host ended with ${next.lines.at(-1) ?? 'nothing'}`);
  if (processesWith(scene.world.root).length > 0) told('processes were left after the clean stop of the next host');
  if (foreign && !isAlive(foreign.pid!)) told('a foreign process was ended');
  if (foreign) await ended(foreign);
  const kept = filesIn(join(stateOf(scene), 'processes'));
  if (kept.length > 0) told(`records were left: ${kept.join(', ')}`);
  return { left, goneMs };
}

async function exited({ process: host }: Host): Promise<void> {
  if (host.exitCode === null && host.signalCode === null) await once(host, 'exit');
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function parentOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Empty where the process is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** A process of somebody else's, whose pid is put in the place of every child on record. Nothing where there is no record. */
function plantForeign(directory: string): ChildProcess | undefined {
  const [name] = filesIn(directory).filter((file) => file.endsWith('.json'));
  if (name === undefined) return undefined;
  const foreign = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
  const path = join(directory, name);
  const record = JSON.parse(readFileSync(path, 'utf8')) as { children: { startedAt: string }[] };
  const started = record.children.length > 0 ? record.children : [{ startedAt: '1' }];
  const children = started.map((child) => ({ ...child, pid: foreign.pid }));
  writeFileSync(path, JSON.stringify({ ...record, children }));
  return foreign;
}

function filesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // Nothing was recorded yet.
  }
}
