import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { childEnvironment } from '../../../adapters/process/environment.ts';
import { ManagedProcess } from '../../../adapters/process/managed-process.ts';
import { PrivateDirectory } from '../../../adapters/process/private-directory.ts';
import { identityOf } from '../../../adapters/process/process-identity.ts';
import { Redactor } from '../../../adapters/process/redaction.ts';
import { forgetChild, holdRecord, recordChild, type RecordHold } from '../../../adapters/process/registry.ts';
import { nextChildMark, runId } from '../../../adapters/process/run-identity.ts';
import type { RunRecord } from '../../../adapters/process/run-record.ts';
import { type Bundle, bundleProgram } from '../../fixtures/bundled-host.ts';
import { DeadRun } from '../../fixtures/dead-run.ts';
import { isAlive } from '../../fixtures/leftovers.ts';
import { until } from '../../fixtures/until.ts';

let root: string;
let directory: string;
let logged: object[];
let warnings: { readonly code: string; readonly message: string }[];
let holds: RecordHold[];
let runs: DeadRun[];
let logger: Parameters<typeof holdRecord>[0]['logger'];
const platform = process.platform;
const silent = () => undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  directory = join(root, 'state', 'processes');
  [logged, warnings, holds, runs] = [[], [], [], []];
  logger = { debug: silent, info: silent, error: silent, warn: (data) => void logged.push(data) };
});
afterEach(() => {
  Object.defineProperty(process, 'platform', { value: platform });
  for (const hold of holds) hold.release();
  for (const run of runs) run.end();
  Reflect.deleteProperty(globalThis, Symbol.for('agent-supervisor.registry.v1'));
  rmSync(root, { recursive: true, force: true });
});

async function hold(at = directory): Promise<RecordHold> {
  const held = await holdRecord({ directory: at, backendId: 'code', logger, warn: (one) => void warnings.push(one) });
  holds.push(held);
  return held;
}

function deadRun(): DeadRun {
  const run = new DeadRun(directory);
  runs.push(run);
  return run;
}

const own = () => join(directory, `${runId()}.json`);
const read = () => JSON.parse(readFileSync(own(), 'utf8')) as RunRecord;
const modeOf = (path: string) => statSync(path).mode & 0o777;

function start(script: string): ManagedProcess {
  const mark = nextChildMark();
  return new ManagedProcess({
    command: '/bin/sh',
    args: ['-c', script],
    cwd: root,
    env: childEnvironment({ inheritEnv: false, env: {}, never: [], mark }),
    mark,
    redactor: new Redactor(),
    onEnd: silent,
  });
}

describe('a run', () => {
  it('is on record before its first child, for its user alone, and nothing stays after the last hold', async () => {
    const held = await hold();
    expect(read()).toMatchObject({ run: runId(), owner: identityOf(process.pid), children: [], directories: [] });
    expect([modeOf(directory), modeOf(own()), readdirSync(directory)]).toEqual([0o700, 0o600, [`${runId()}.json`]]);
    held.release();
    held.release();
    expect([readdirSync(directory), warnings]).toEqual([[], []]);
  });

  it('has its children and private directories on record while they are there', async () => {
    await hold();
    const child = start('sleep 300');
    const files = new PrivateDirectory();
    const path = dirname(files.write('secret', 'x'));
    expect(read()).toMatchObject({ children: [identityOf(child.pid ?? 0)], directories: [path] });
    expect([modeOf(path), path.includes(runId())]).toEqual([0o700, true]);
    await Promise.all([child.kill(), files.remove()]);
    expect(read()).toMatchObject({ children: [], directories: [] });
  });

  it('is on record for each state directory as long as something of it is held there', async () => {
    const elsewhere = join(root, 'elsewhere');
    const [first, second] = [await hold(), await hold()];
    const other = await hold(elsewhere);
    first.release();
    expect([existsSync(own()), readdirSync(elsewhere).length]).toEqual([true, 1]);
    second.release();
    expect([existsSync(own()), readdirSync(elsewhere).length]).toEqual([false, 1]);
    other.release();
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it('stays on record where something could not be ended: the next start tries again', async () => {
    const held = await hold();
    recordChild(process.pid);
    forgetChild(process.pid, [process.pid]);
    held.release();
    expect(read().children).toEqual([identityOf(process.pid)]);
  });

  it('is on record again where somebody removed what was there', async () => {
    await hold();
    rmSync(directory, { recursive: true });
    const child = start('sleep 300');
    expect(read().children).toHaveLength(1);
    await child.kill();
    expect(warnings).toEqual([]);
  });
});

describe('a launch', () => {
  it('waits for what dead runs left to be gone; at the same moment, they share that', async () => {
    const run = deadRun().record();
    const pid = await run.leave("trap '' TERM");
    await Promise.all([hold(), hold(), hold()]);
    expect([isAlive(pid), readdirSync(directory), logged]).toMatchObject([
      false,
      [`${runId()}.json`],
      [{ run: run.run, processes: 1 }],
    ]);
  });

  it('looks again, also in a host that lives long', async () => {
    await hold();
    const pid = await deadRun().record().leave();
    await hold();
    expect(isAlive(pid)).toBe(false);
  });
});

describe('a disk that fails', () => {
  it('is told once, and nothing stops for it', async () => {
    mkdirSync(join(root, 'state'));
    writeFileSync(directory, 'a file where the directory should be');
    await hold();
    await hold();
    const child = start('sleep 300');
    expect(isAlive(child.pid ?? 0)).toBe(true);
    await child.kill();
    for (const held of holds) held.release();
    expect(warnings).toEqual([
      { code: 'ERR_STORE', backend: 'code', message: expect.stringContaining(directory) as string },
    ]);
  });
});

describe('on Windows', () => {
  it('nothing is guarded, and that is told once', async () => {
    Object.defineProperty(process, 'platform', { value: 'win32' });
    await hold();
    await hold();
    expect(warnings).toMatchObject([{ code: 'ERR_UNSUPPORTED', backend: 'code' }]);
    expect(existsSync(directory)).toBe(false);
  });
});

describe('two hosts that start at the same moment', () => {
  let bundle: Bundle;
  beforeAll(async () => (bundle = await bundleProgram('reaper.ts')));
  afterAll(() => bundle.remove());

  function startReaper(env: Record<string, string> = {}): {
    host: ChildProcess;
    lines: string[];
    gone: Promise<number>;
  } {
    const host = spawn(process.execPath, [bundle.path, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const lines: string[] = [];
    createInterface({ input: host.stdout }).on('line', (line) => lines.push(line));
    return { host, lines, gone: once(host, 'close').then(([code]) => code as number) };
  }
  type Reaper = ReturnType<typeof startReaper>;
  const ready = ({ lines }: Reaper) => until('the host is ready', () => lines.includes('ready'), 10_000);

  it('each work on records of their own, and both wait until all is gone', async () => {
    const dead = Array.from({ length: 8 }, () => deadRun().record());
    const left = await Promise.all(dead.map((run) => run.leave("trap '' TERM")));
    const reapers = [startReaper(), startReaper()];
    await Promise.all(reapers.map(ready));
    for (const { host } of reapers) host.stdin?.write('go\n');
    await until('one of them is up', () => reapers.some(({ lines }) => lines.includes('up')), 10_000);
    expect(left.filter(isAlive)).toEqual([]);
    expect(await Promise.all(reapers.map(({ gone }) => gone))).toEqual([0, 0]);
    const reaped = reapers.flatMap(({ lines }) => lines.filter((line) => line.startsWith('{')));
    const told = reaped.map((line) => JSON.parse(line) as { run: string; processes: number });
    expect(told.map(({ run }) => run).sort()).toEqual(dead.map(({ run }) => run).sort());
    expect([told.every(({ processes }) => processes === 1), readdirSync(directory)]).toEqual([true, []]);
  });

  it('take over from one that was killed while it reaped', async () => {
    const run = deadRun().record();
    const pid = await run.leave("trap '' TERM");
    const first = startReaper();
    await ready(first);
    process.kill(pid, 'SIGSTOP'); // It takes the whole grace.
    first.host.stdin?.write('go\n');
    await until('the record is claimed', () => readdirSync(directory).some((name) => name.endsWith('.claim')), 10_000);
    first.host.kill('SIGKILL');
    await first.gone;
    await hold();
    expect([isAlive(pid), readdirSync(directory)]).toEqual([false, [`${runId()}.json`]]);
  });

  it('do not end themselves where a run that died had started them', async () => {
    const run = deadRun().record();
    const nested = startReaper({ AGENT_SUPERVISOR_RUN: `${run.run}:1` });
    await ready(nested);
    nested.host.stdin?.write('go\n');
    expect([await nested.gone, nested.lines.at(-1), readdirSync(directory)]).toEqual([0, 'up', []]);
  });
});
