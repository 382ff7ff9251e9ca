import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identityOf, pidSpace, startOf } from '../../../adapters/process/process-identity.ts';
import { ownDirectoryPath } from '../../../adapters/process/own-directory.ts';
import { reap, type ReapLimits } from '../../../adapters/process/reaper.ts';
import { recordFileName } from '../../../adapters/process/run-record.ts';
import { DeadRun } from '../../fixtures/dead-run.ts';
import { isAlive } from '../../fixtures/leftovers.ts';
import { until } from '../../fixtures/until.ts';

let root: string;
let directory: string;
let runs: DeadRun[];
let logged: [object, string][];
const made: string[] = [];
const ownRun = randomUUID();
const self = identityOf(process.pid) ?? { pid: 0, startedAt: '' };
const silent = () => undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'));
  directory = join(root, 'processes');
  runs = [];
  logged = [];
});
afterEach(() => {
  for (const run of runs) run.end();
  for (const path of [root, ...made.splice(0)]) rmSync(path, { recursive: true, force: true });
});

function deadRun(): DeadRun {
  const run = new DeadRun(directory);
  runs.push(run);
  return run;
}

function reapAll(limits?: ReapLimits): Promise<void> {
  const warn = (data: object, message: string) => void logged.push([data, message]);
  const logger = { debug: silent, info: warn, warn, error: silent };
  const common = { directory, run: ownRun, self, space: pidSpace(), logger };
  return reap(limits ? { ...common, limits } : common);
}

const files = () => readdirSync(directory);

/** A directory with a secret, as the run makes them. */
function privateDirectory(run: string): string {
  const path = ownDirectoryPath(run);
  made.push(path);
  mkdirSync(path);
  writeFileSync(join(path, 'secret'), 'x');
  return path;
}

describe('what a dead run left', () => {
  it('is ended and removed, with its record, and that is logged', async () => {
    const run = deadRun();
    const left = [await run.leave(), await run.leave("trap '' TERM")];
    const secret = privateDirectory(run.run);
    run.record({ directories: [secret] });
    await reapAll();
    expect([left.map(isAlive), existsSync(secret), files()]).toEqual([[false, false], false, []]);
    const counts = { owner: process.pid, run: run.run, processes: 2, directories: 1, survivors: [], isDone: true };
    expect(logged).toEqual([[counts, expect.stringContaining(`pid ${process.pid}`)]]);
  });

  it('is asked to end before it is killed, also where it was stopped', async () => {
    const run = deadRun().record();
    const told = join(root, 'told');
    const pid = await run.leave(`trap 'echo bye > ${told}; exit' TERM`, 'while :; do sleep 0.05; done');
    process.kill(pid, 'SIGSTOP');
    await reapAll({ graceMs: 10_000, limitMs: 10_000, waitMs: 10_000 });
    expect([isAlive(pid), existsSync(told)]).toEqual([false, true]);
  });

  it('is left alone where there is nothing on record', async () => {
    await reapAll();
    expect(existsSync(directory)).toBe(false);
  });

  it('of several runs is ended at once, and each is told', async () => {
    const dead = [deadRun().record(), deadRun().record(), deadRun().record()];
    const left = await Promise.all(dead.map((run) => run.leave()));
    await reapAll();
    expect([left.map(isAlive), files(), logged.length]).toEqual([[false, false, false], [], 3]);
  });

  it('is ended also where another record cannot be claimed, and that is not kept quiet', async () => {
    const [stuck, run] = [deadRun().record(), deadRun().record()];
    mkdirSync(join(directory, recordFileName({ kind: 'claim', run: stuck.run, byRun: ownRun, by: self })));
    const pid = await run.leave();
    await expect(reapAll()).rejects.toMatchObject({ code: 'EISDIR' });
    expect([isAlive(pid), existsSync(run.path), existsSync(stuck.path)]).toEqual([false, false, true]);
  });

  it('that cannot be ended in time stays on record, and is tried again by the next', async () => {
    const run = deadRun().record();
    await run.leave();
    const pid = await run.leave("trap '' TERM");
    await reapAll({ graceMs: 60_000, limitMs: 100, waitMs: 100 });
    expect([isAlive(pid), files()]).toEqual([true, [`${run.run}.json`]]);
    expect(logged[0]?.[1]).toContain('the next start tries again');
    await reapAll();
    expect([isAlive(pid), files()]).toEqual([false, []]);
  });
});

describe('where environments may not be readable', () => {
  afterEach(() => Object.defineProperty(process, 'platform', { value: 'linux' }));

  it('the groups are ended whose leader is known to be the one on record, and no others', async () => {
    const run = deadRun();
    const [child, reused] = [await run.foreign(), await run.foreign()];
    const marked = await run.leave();
    Object.defineProperty(process, 'platform', { value: 'darwin' });
    const children = [
      { pid: child, startedAt: startOf(child) ?? '' },
      { pid: reused, startedAt: '1' },
    ];
    run.record({ children });
    await reapAll();
    Object.defineProperty(process, 'platform', { value: 'linux' });
    expect([isAlive(child), isAlive(reused), isAlive(marked), files()]).toEqual([false, true, false, []]);
  });
});

describe('nothing is done to', () => {
  it('what a living host has', async () => {
    const run = deadRun().record({ owner: self });
    const pid = await run.leave();
    await reapAll();
    expect([isAlive(pid), files(), logged]).toEqual([true, [`${run.run}.json`], []]);
  });

  it('a foreign process whose pid is on record: of one that began at another time, and of one that carries no mark', async () => {
    const run = deadRun();
    const foreign = [await run.foreign(), await run.foreign()];
    const [reused = 0, unmarked = 0] = foreign;
    run.record({
      owner: { pid: reused, startedAt: '1' },
      children: [
        { pid: reused, startedAt: '1' },
        { pid: unmarked, startedAt: startOf(unmarked) ?? '' },
      ],
    });
    await reapAll();
    expect([foreign.map(isAlive), files()]).toEqual([[true, true], []]);
  });

  it.each(['machine', 'namespace'])('what is of another %s: its pids are others', async (what) => {
    const run = deadRun();
    const pid = await run.leave();
    const secret = privateDirectory(run.run);
    run.record({ space: { ...pidSpace(), [what]: 'another' }, directories: [secret] });
    await reapAll();
    expect([isAlive(pid), existsSync(secret), files()]).toEqual([true, true, [`${run.run}.json`]]);
  });

  it('processes where the record is of another boot; its directories go, and so does it', async () => {
    const run = deadRun();
    const pid = await run.leave();
    const secret = privateDirectory(run.run);
    run.record({ space: { ...pidSpace(), boot: 'another', namespace: 'another' }, directories: [secret] });
    await reapAll();
    expect([isAlive(pid), existsSync(secret), files()]).toEqual([true, false, []]);
  });
});

describe('a record that was tampered with', () => {
  it('has nothing removed that is not of its run’s own making', async () => {
    const run = deadRun();
    const elsewhere = join(root, 'project');
    const link = ownDirectoryPath(run.run);
    const named = ['agent-supervisor-backup', 'x'].map((name) => join(root, name));
    const others = [elsewhere, privateDirectory(randomUUID()), ...named];
    for (const path of others) mkdirSync(path, { recursive: true });
    made.push(link);
    symlinkSync(elsewhere, link);
    const bent = `${elsewhere}/../project`;
    const relative = `agent-supervisor-${run.run}-00000000`;
    run.record({ directories: [...others, link, `${link}/`, bent, relative, '/', ''] });
    await reapAll();
    expect([others.map((path) => existsSync(path)), existsSync(link), files()]).toEqual([
      [true, true, true, true],
      true,
      [],
    ]);
  });

  it.each([
    ['is garbage', (path: string) => writeFileSync(path, '{"version":1')],
    ['is empty', (path: string) => writeFileSync(path, '')],
    ['is a directory', (path: string) => (rmSync(path), void mkdirSync(path))],
    ['is too large', (path: string) => appendFileSync(path, ' '.repeat(1024 * 1024))],
  ])('and %s is left alone', async (_, write) => {
    const run = deadRun().record();
    const pid = await run.leave();
    write(run.path);
    await reapAll();
    expect([isAlive(pid), files(), logged]).toEqual([true, [`${run.run}.json`], []]);
  });

  it('and is a link is left alone, whatever is behind it', async () => {
    const run = deadRun().record();
    const pid = await run.leave();
    const target = join(root, 'record');
    renameSync(run.path, target);
    symlinkSync(target, run.path);
    await reapAll();
    expect([isAlive(pid), files(), existsSync(target)]).toEqual([true, [`${run.run}.json`], true]);
  });
});

describe('records that another reaper has claimed', () => {
  const claim = (run: DeadRun, startedAt: string) => {
    const by = { pid: process.pid, startedAt };
    const path = join(directory, recordFileName({ kind: 'claim', run: run.run, byRun: randomUUID(), by }));
    renameSync(run.path, path);
    return path;
  };

  it('are taken over where that reaper is dead', async () => {
    const run = deadRun().record();
    const pid = await run.leave();
    claim(run, '1');
    await reapAll();
    expect([isAlive(pid), files()]).toEqual([false, []]);
  });

  it('are left to it where it lives, and waited for', async () => {
    const run = deadRun().record();
    const pid = await run.leave();
    const path = claim(run, self.startedAt);
    let isOver = false;
    const reaping = reapAll().then(() => (isOver = true));
    const marker = deadRun().record(); // What comes after it is done meanwhile.
    await until('the other one is done', () => !existsSync(marker.path), 2_000);
    expect([isOver, isAlive(pid)]).toEqual([false, true]);
    rmSync(path);
    await reaping;
    expect([isAlive(pid), files()]).toEqual([true, []]);
  });

  it('are waited for no longer than may be', async () => {
    const run = deadRun().record();
    const path = claim(run, self.startedAt);
    await reapAll({ graceMs: 0, limitMs: 100, waitMs: 100 });
    expect(existsSync(path)).toBe(true);
  });
});

describe('a record that somebody died over while it was written', () => {
  it('goes with its run, or when it is old', async () => {
    const run = deadRun().record();
    const temporary = (of: string) => join(directory, recordFileName({ kind: 'temporary', run: of }));
    const [fresh, old] = [temporary(randomUUID()), temporary(randomUUID())];
    for (const path of [fresh, old, temporary(run.run)]) writeFileSync(path, '');
    utimesSync(old, 0, 0);
    await reapAll();
    expect(files().map((name) => join(directory, name))).toEqual([fresh]);
  });
});

it('records behind a link are not believed', async () => {
  const elsewhere = join(root, 'elsewhere');
  directory = elsewhere;
  const run = deadRun().record();
  const pid = await run.leave();
  symlinkSync(elsewhere, join(root, 'processes'));
  directory = join(root, 'processes');
  await expect(reapAll()).rejects.toThrow('no directory of this user');
  expect(isAlive(pid)).toBe(true);
});
