import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createSupervisor, type PoolOptions, type Supervisor } from '../../index.ts';
import { processesWith } from '../fixtures/leftovers.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { until } from '../fixtures/until.ts';
import { watched } from './watched.ts';

/** What a server is after it has worked in so many directories. */
export interface DirectorySample {
  readonly directories: number;
  readonly rssMb: number;
  /** Directories that it holds, and those that it gave up, as its own log tells. */
  readonly live: number;
  readonly disposed: number;
  readonly descriptors: number;
  /** MCP servers, language servers and whatever else it started. */
  readonly children: number;
}

export interface DirectoriesOptions {
  readonly count: number;
  /** Directories that the server may hold; absent: all. */
  readonly maxWarm?: number;
  /** Memory at which the server has shown enough, in megabytes. */
  readonly ceilingMb: number;
  readonly onSample?: (sample: DirectorySample, index: number) => void;
}

export interface DirectoriesReport {
  readonly samples: readonly DirectorySample[];
  /** When nobody has used any of them for long. */
  readonly rested: DirectorySample | undefined;
  readonly violations: readonly string[];
}

interface Scene extends DirectoriesOptions {
  readonly world: OpencodeWorld;
  readonly supervisor: Supervisor;
  readonly told: (what: string) => void;
}

/** Directories between two samples; one of them has an MCP server. */
const EVERY = 25;
const IDLE_MS = 30_000;
const SETTLE_MS = 10_000;
const UNLIMITED: PoolOptions = { maxWarm: 100_000, idleTtlMs: 86_400_000, sweepMs: 86_400_000 };
const mcpProgram = fileURLToPath(new URL('../fixtures/programs/mcp-server.mjs', import.meta.url));

/** One server works in many directories, one after another: what that costs it, with limits of what it may hold or without. */
export async function manyDirectories(options: DirectoriesOptions): Promise<DirectoriesReport> {
  const violations: string[] = [];
  const told = (what: string) => void violations.push(what);
  const report = await watched(violations, async (world) => {
    const { maxWarm } = options;
    const supervisor = createSupervisor({
      backends: { code: world.backend() },
      pool: maxWarm === undefined ? UNLIMITED : { maxWarm, idleTtlMs: IDLE_MS, sweepMs: 1_000 },
      stateDirectory: world.directory('supervisor-state'),
    });
    try {
      return await visitAll({ ...options, world, supervisor, told });
    } finally {
      await supervisor.stop({ graceMs: 0 });
    }
  });
  return { ...report, violations };
}

async function visitAll(scene: Scene): Promise<Omit<DirectoriesReport, 'violations'>> {
  const { supervisor, count, ceilingMb, told } = scene;
  const samples: DirectorySample[] = [];
  await supervisor.backend('code').start();
  for (let index = 1; index <= count; index += 1) {
    await visit(scene, index);
    if (index % EVERY !== 0) continue;
    samples.push(await sample(scene, index, scene.maxWarm));
    scene.onSample?.(samples.at(-1)!, samples.length - 1);
    if (samples.at(-1)!.rssMb > ceilingMb) break;
  }
  const { restarts } = supervisor.backend('code').status();
  if (restarts > 0) told(`the server was restarted ${restarts} times`);
  return { samples, rested: scene.maxWarm === undefined ? undefined : await sample(scene, count, 0) };
}

async function visit({ world, supervisor, told }: Scene, index: number): Promise<void> {
  const mcpServers = [{ name: 'echo', command: process.execPath, args: [mcpProgram] }];
  const session = await supervisor.openSession({
    backend: 'code',
    directory: world.directory(),
    title: 'A title',
    ...(index % EVERY === 1 ? { mcpServers } : {}),
  });
  const { outcome, text, error } = await session.prompt('[[say hi]]').result;
  if (outcome !== 'completed' || text !== 'hi')
    told(`directory ${index}: ${outcome}, ${text}, ${JSON.stringify(error)}`);
  await session.release();
}

/** With what is allowed to be live; where it does not come down to that, the sample shows it. */
async function sample(scene: Scene, directories: number, allowed: number | undefined): Promise<DirectorySample> {
  const { world, supervisor, told } = scene;
  const isWithin = () => liveIn(world).live <= (allowed ?? Number.POSITIVE_INFINITY);
  await until('the limit holds', isWithin, IDLE_MS + SETTLE_MS).catch(() =>
    told(`after ${directories}: over the limit`),
  );
  const { pid } = supervisor.backend('code').status();
  const rssKb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))?.[1]);
  return {
    directories,
    rssMb: Math.round(rssKb / 1_024),
    ...liveIn(world),
    descriptors: readdirSync(`/proc/${pid ?? 0}/fd`).length,
    children: processesWith(world.root).filter((other) => other !== pid).length,
  };
}

/** The directories that a server holds, in the order in which it was asked about them, as its own log tells. */
export function directoriesHeld({ root }: OpencodeWorld): readonly string[] {
  const log = readFileSync(join(root, 'data', 'opencode', 'log', 'opencode.log'), 'utf8');
  const held = new Set<string>();
  for (const [, what, directory = ''] of log.matchAll(/message="(creating|disposing) instance" directory=(\S+)/g)) {
    if (what === 'creating') held.add(directory);
    else held.delete(directory);
  }
  return [...held];
}

function liveIn(world: OpencodeWorld): Pick<DirectorySample, 'live' | 'disposed'> {
  const log = readFileSync(join(world.root, 'data', 'opencode', 'log', 'opencode.log'), 'utf8');
  return { live: directoriesHeld(world).length, disposed: log.match(/message="disposing instance"/g)?.length ?? 0 };
}

/** Growth of the samples' memory in megabytes for each hundred directories: least squares. */
export function growthOf(samples: readonly DirectorySample[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(samples.map(({ directories }) => directories)), mean(samples.map(({ rssMb }) => rssMb))];
  const rise = samples.reduce((sum, { directories, rssMb }) => sum + (directories - x) * (rssMb - y), 0);
  const run = samples.reduce((sum, { directories }) => sum + (directories - x) ** 2, 0);
  return (100 * rise) / run;
}
