import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { OpencodeOptions } from '../../adapters/opencode/index.ts';
import { bundleHost } from '../fixtures/bundled-host.ts';
import { isAlive, processesCalled, processesWith } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import type { HostTask } from '../fixtures/programs/host.ts';
import { until } from '../fixtures/until.ts';

let world: OpencodeWorld;
let bundle: Awaited<ReturnType<typeof bundleHost>>;

beforeAll(async () => {
  [world, bundle] = await Promise.all([OpencodeWorld.create(), bundleHost()]);
});
const started: ChildProcess[] = [];
/** A test that fails leaves nothing either. */
afterEach(() => started.splice(0).forEach((host) => host.kill('SIGKILL')));
afterAll(async () => {
  bundle.remove();
  await world.remove();
});

const state = () => world.directory('supervisor-state');
const taskOf = (prompt: string, overrides: OpencodeOptions = {}): HostTask => ({
  agent: { options: world.options(overrides) },
  directory: world.directory(),
  prompt,
  stateDirectory: state(),
});
/** In a session of its own, and deaf to every polite signal. */
const stubborn = "(trap '' HUP TERM INT; exec setsid sleep 300) >/dev/null 2>&1";
const hiding = { command: `${stubborn} & echo hidden; sleep 300`, description: 'hides' };
const busy = `[[say Working. ]][[tool bash ${JSON.stringify(hiding)}]]`;
/** Guardians carry no mark: what they watch over is in their arguments. */
const guardians = () => processesCalled('agent-supervisor-guardian', world.root);
const left = () => [...processesWith(world.root), ...guardians()];
const secrets = () => readdirSync(world.directory('tmp')).filter((name) => name.startsWith('agent-supervisor-'));
const records = () => readdirSync(join(state(), 'processes'));
/** Hosts keep their private directories in the world, where nobody else's are. */
const hostEnvironment = () => ({ ...process.env, TMPDIR: world.directory('tmp') });

/** Runs the bundled host as a process of its own, and gives its lines. */
function runHost(
  prompt: string,
  overrides?: OpencodeOptions,
): { host: ChildProcess; lines: string[]; said: (part: string) => Promise<number> } {
  const host = spawn(process.execPath, [bundle.path, JSON.stringify(taskOf(prompt, overrides))], {
    env: hostEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(host);
  const lines: string[] = [];
  createInterface({ input: host.stdout }).on('line', (line) => lines.push(line));
  return {
    host,
    lines,
    said: (part) => until(`the host says ${part}`, () => lines.some((line) => line.includes(part)), 30_000),
  };
}

describe('the library in one CommonJS file', () => {
  it('runs a session, needs no file beside it, and lets its host end by itself', async () => {
    const { host, lines } = runHost('[[say Hello from the bundle]]');
    const [code] = (await once(host, 'exit')) as [number];
    expect([code, lines.slice(-2)]).toEqual([
      0,
      ['result {"outcome":"completed","text":"Hello from the bundle"}', 'stopped'],
    ]);
    expect([left(), records()]).toEqual([[], []]);
  });
});

describe('a host that waits', () => {
  it('is kept alive by what it waits for, also while nothing but a backoff goes on', async () => {
    const restart = { maxRestarts: 2, backoff: { baseMs: 100, jitter: 'none' } } as const;
    const { host, lines } = runHost('never sent', { command: '/bin/false', startAttempts: 1, restart });
    await once(host, 'exit');
    expect(lines).toEqual(['error ERR_RESTART_LIMIT']);
  });
});

describe('a host that dies in the middle of a turn', () => {
  it.each<[string, (host: ChildProcess) => void]>([
    ['by SIGKILL', (host) => host.kill('SIGKILL')],
    ['by SIGTERM', (host) => host.kill('SIGTERM')],
    ['by SIGINT', (host) => host.kill('SIGINT')],
  ])(
    '%s leaves no process behind within two seconds, not even what hid from its group, and no secret',
    async (_, kill) => {
      const { host, said } = runHost(busy);
      await said('hidden');
      expect(left().length).toBeGreaterThan(2);
      expect(secrets().length).toBeGreaterThan(0);
      kill(host);
      await once(host, 'exit');
      await until('everything is gone', () => left().length === 0 && secrets().length === 0, 2_000);
    },
  );

  it('leaves nothing either when its guardian was killed before it: the guardian is replaced', async () => {
    const { host, said } = runHost(busy);
    await said('hidden');
    const [guardian] = guardians();
    process.kill(guardian ?? Number.NaN, 'SIGKILL');
    await until('there is another guardian', () => guardians().some((pid) => pid !== guardian), 5_000);
    host.kill('SIGKILL');
    await once(host, 'exit');
    await until('everything is gone', () => left().length === 0 && secrets().length === 0, 2_000);
  });
});

describe('a host that dies together with its guardian', () => {
  it('leaves what the next start with its state directory ends before its own server is up, and nothing else', async () => {
    const { host, said } = runHost(busy);
    await said('hidden');
    host.kill('SIGSTOP'); // It starts no other guardian.
    for (const guardian of guardians()) process.kill(guardian, 'SIGKILL');
    host.kill('SIGKILL');
    await once(host, 'exit');
    const orphans = processesWith(world.root);
    const hidden = orphans.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('sleep'));
    expect([hidden.length > 0, secrets().length > 0, records().length]).toEqual([true, true, 1]);
    const foreign = plantForeign(join(state(), 'processes', records()[0]!));
    const next = runHost('[[say Hello after that]]');
    await next.said('healthy');
    expect([orphans.filter(isAlive), isAlive(foreign.pid!)]).toEqual([[], true]);
    await once(next.host, 'exit');
    expect(next.lines.at(-1)).toBe('stopped');
    expect([left(), secrets(), records()]).toEqual([[], [], []]);
  });

  /** A process of somebody else's that has the pid of every child on record. */
  function plantForeign(path: string): ChildProcess {
    const foreign = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
    started.push(foreign);
    const record = JSON.parse(readFileSync(path, 'utf8')) as { children: { pid: number; startedAt: string }[] };
    expect(record.children.length).toBeGreaterThan(0);
    const children = record.children.map((child) => ({ ...child, pid: foreign.pid }));
    writeFileSync(path, JSON.stringify({ ...record, children }));
    return foreign;
  }
});

describe('a worker thread', () => {
  it('runs a session', async () => {
    const worker = new Worker(bundle.path, {
      workerData: taskOf('[[say Hello from a worker]]'),
      env: hostEnvironment(),
    });
    const lines: string[] = [];
    worker.on('message', (line: string) => lines.push(line));
    await once(worker, 'exit');
    expect(lines.slice(-2)).toEqual(['result {"outcome":"completed","text":"Hello from a worker"}', 'stopped']);
    expect(left()).toEqual([]);
  });

  it('that is terminated in the middle of a turn leaves nothing', async () => {
    const worker = new Worker(bundle.path, { workerData: taskOf(busy), env: hostEnvironment() });
    const lines: string[] = [];
    worker.on('message', (line: string) => lines.push(line));
    await until('a tool runs', () => lines.some((line) => line.includes('hidden')), 30_000);
    await worker.terminate();
    await until('everything is gone', () => left().length === 0 && secrets().length === 0, 2_000);
  });
});
