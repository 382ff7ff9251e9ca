import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hasEnded, identityOf, isRunning, pidSpace, startOf } from '../../../adapters/process/process-identity.ts';
import { until } from '../../fixtures/until.ts';

let root: string;
const children: ChildProcess[] = [];
const platform = process.platform;

beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'agent-supervisor-test-'))));
afterEach(async () => {
  beOn(platform);
  vi.unstubAllEnvs();
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  rmSync(root, { recursive: true });
});

const beOn = (name: string) => Object.defineProperty(process, 'platform', { value: name });
const own = () => identityOf(process.pid) ?? { pid: 0, startedAt: '' };

function start(command: string, ...args: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  return child;
}

describe.each(['linux', 'darwin'])('a process on %s', (name) => {
  it('is itself, and not another one that has or had its pid', () => {
    beOn(name);
    const other = { ...own(), startedAt: '1' };
    expect([isRunning(own()), hasEnded(own()), isRunning(other), hasEnded(other)]).toEqual([true, false, false, true]);
  });

  it('has ended where nobody has its pid', async () => {
    const child = start('true');
    await once(child, 'exit');
    beOn(name);
    expect(startOf(child.pid ?? 0)).toBeUndefined();
    expect(hasEnded({ pid: child.pid ?? 0, startedAt: '1' })).toBe(true);
  });

  it('has ended though nobody has waited for it yet', async () => {
    const parent = start('/bin/sh', '-c', 'sleep 300 & echo $!; exec sleep 300');
    const [line] = (await once(parent.stdout!, 'data')) as [Buffer];
    const pid = Number(line.toString());
    const command = () => readFileSync(`/proc/${parent.pid ?? 0}/cmdline`, 'latin1');
    await until('the parent waits for nobody', () => command().startsWith('sleep'), 5_000);
    process.kill(pid, 'SIGKILL');
    beOn(name);
    await until('it is a zombie', () => startOf(pid) === undefined, 5_000);
    expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toContain(') Z ');
  });
});

it('a program’s name does not matter, whatever is in it', () => {
  const path = join(root, 'a) S 1 (b');
  copyFileSync('/bin/sleep', path);
  const started = Number(startOf(start(path, '300').pid ?? 0)) / 100;
  const uptime = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
  expect(Math.abs(uptime - started)).toBeLessThan(5);
});

it('in doubt a process neither runs nor has ended', () => {
  beOn('darwin');
  vi.stubEnv('PATH', root); // There is no ps.
  expect([isRunning({ pid: 1, startedAt: '1' }), hasEnded({ pid: 1, startedAt: '1' })]).toEqual([false, false]);
});

it('the time zone of the host does not change when a process began', () => {
  beOn('darwin');
  const here = startOf(process.pid);
  vi.stubEnv('TZ', 'Asia/Kolkata');
  expect([startOf(process.pid), /^\d+$/.test(here ?? '')]).toEqual([here, true]);
});

it('pids mean something in one boot and one namespace', () => {
  const { boot, namespace } = pidSpace();
  expect([boot.length, namespace.startsWith('pid:[')]).toEqual([36, true]);
});
