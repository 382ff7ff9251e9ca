import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { childEnvironment } from '../../../adapters/process/environment.ts';
import { ManagedProcess, type ProcessEnd } from '../../../adapters/process/managed-process.ts';
import { Redactor } from '../../../adapters/process/redaction.ts';
import { nextChildMark, RUN_VARIABLE } from '../../../adapters/process/run-identity.ts';
import { holdings, isAlive, processesWith } from '../../fixtures/leftovers.ts';

let cwd: string;
let before: ReturnType<typeof holdings>;
const marks: string[] = [];

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'agent-supervisor-process-'));
  before = holdings();
});
afterEach(() => {
  for (const mark of marks.splice(0)) expect(processesWith(`${RUN_VARIABLE}=${mark}`)).toEqual([]);
  const after = holdings();
  expect(after.childProcesses).toEqual(before.childProcesses);
  expect(after.exitListeners).toBe(before.exitListeners);
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

interface Started {
  readonly process: ManagedProcess;
  readonly lines: string[];
  readonly ends: ProcessEnd[];
  /** Resolves when a line was printed. */
  printed(line: string): Promise<void>;
}

function start(command: string, args: readonly string[], { redactor = new Redactor(), directory = cwd } = {}): Started {
  const mark = nextChildMark();
  marks.push(mark);
  const lines: string[] = [];
  const ends: ProcessEnd[] = [];
  const waiting = new Map<string, () => void>();
  const started = new ManagedProcess({
    command,
    args,
    cwd: directory,
    env: childEnvironment({ inheritEnv: false, env: {}, never: [], mark }),
    mark,
    redactor,
    onLine: (line) => {
      lines.push(line);
      waiting.get(line)?.();
    },
    onEnd: (end) => ends.push(end),
  });
  const printed = (line: string) =>
    lines.includes(line) ? Promise.resolve() : new Promise<void>((resolve) => waiting.set(line, resolve));
  return { process: started, lines, ends, printed };
}

const shell = (script: string) => start('/bin/sh', ['-c', script]);

describe('a managed process', () => {
  it('ends with its exit code, and tells its output by lines however they are cut', async () => {
    const { process, lines, ends } = shell('printf one; printf "\\ntwo\\r\\nthr"; printf "ee\\n"; exit 7');
    const end = await process.gone;
    expect(end).toEqual({ code: 7, signal: null, survivors: [] });
    expect([lines, ends]).toEqual([['one', 'two', 'three'], [end]]);
  });

  it('takes its group with it, also what has cleared its environment', async () => {
    const { process, lines } = shell('env -i sleep 300 & echo $!');
    await process.gone;
    const pid = Number(lines[0]);
    expect([pid > 1, isAlive(pid)]).toEqual([true, false]);
  });

  it.each([
    ['that does not exist', '/nowhere/program', 'ENOENT'],
    ['that may not be executed', 'not-executable', 'EACCES'],
  ])('%s ends with a typed cause, and disturbs nobody', async (_, name, code) => {
    const path = join(cwd, 'not-executable');
    writeFileSync(path, '#!/bin/sh\n', { mode: 0o644 });
    const { process } = start(name.startsWith('/') ? name : path, []);
    expect(await process.gone).toMatchObject({ code: null, signal: null, error: { code } });
    expect(process.pid).toBeUndefined();
  });

  it('never blocks on a full pipe: what it prints is read whether or not anybody wants it', async () => {
    const { process } = shell(
      'head -c 5000000 /dev/zero | tr "\\0" x; head -c 5000000 /dev/zero | tr "\\0" y >&2; echo; echo end',
    );
    expect(await process.gone).toMatchObject({ code: 0 });
    expect(process.stderrTail(10)).toBe('y'.repeat(10));
  });

  it('keeps the end of its error output, without secrets', async () => {
    const redactor = new Redactor();
    redactor.add('hunter2-secret');
    const { process } = start('/bin/sh', ['-c', 'echo "login hunter2-secret api_key=abc123 done" >&2'], { redactor });
    await process.gone;
    expect(process.stderrTail(2_000)).toBe('login [redacted] api_key=[redacted] done');
  });

  it('settles on its exit, not on its pipes: a grandchild that holds them does not matter', async () => {
    const { process: child, lines } = start('/bin/sh', [
      '-c',
      'env -u AGENT_SUPERVISOR_RUN setsid sleep 30 & echo $!; sleep 0.1; exit 0',
    ]);
    await child.gone;
    const grandchild = Number(lines[0]);
    expect(isAlive(grandchild)).toBe(true);
    process.kill(grandchild, 'SIGKILL');
  });

  it('takes with it what it started, in whatever session that hides', async () => {
    const { process, lines, printed } = shell(
      'setsid sleep 60 & echo $!; nohup setsid sleep 60 >/dev/null 2>&1 & echo $!; echo up; sleep 60',
    );
    await printed('up');
    const escaped = lines.slice(0, 2).map(Number);
    expect(escaped.map(isAlive)).toEqual([true, true]);
    await process.kill();
    expect(escaped.map(isAlive)).toEqual([false, false]);
  });

  it('takes with it what it started also when it dies by itself', async () => {
    const { process, lines } = shell('setsid sleep 60 & echo $!; kill -9 $$');
    expect(await process.gone).toMatchObject({ signal: 'SIGKILL', survivors: [] });
    expect(isAlive(Number(lines[0]))).toBe(false);
  });
});

describe('a stop', () => {
  it('asks politely first, and needs no signal where that is enough', async () => {
    const { process, printed } = shell(
      'trap "echo term" TERM; echo up; while [ ! -e "$PWD/bye" ]; do sleep 0.01; done; exit 3',
    );
    await printed('up');
    const politely = () =>
      writeFile(join(cwd, 'bye'), '')
        .then(() => process.gone)
        .then(() => undefined);
    expect(await process.stop({ politely, graceMs: 5_000 })).toMatchObject({ code: 3, signal: null });
    rmSync(join(cwd, 'bye'));
  });

  it('sends SIGTERM when the polite way is done, or takes too long', async () => {
    const { process, printed } = shell('trap "exit 5" TERM; echo up; while :; do sleep 0.01; done');
    await printed('up');
    const never = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(new Error('late'))));
    expect(await process.stop({ politely: never, graceMs: 50 })).toMatchObject({ code: 5 });
  });

  it('wakes a process that is stopped by a signal, so that it can act on SIGTERM', async () => {
    const { process: frozen, printed } = shell('trap "exit 6" TERM; echo up; while :; do sleep 0.01; done');
    await printed('up');
    process.kill(frozen.pid ?? 0, 'SIGSTOP');
    expect(await frozen.stop({ graceMs: 3_000 })).toMatchObject({ code: 6 });
  });

  it('kills what ignores SIGTERM, decided on its real exit', async () => {
    const { process, printed } = shell('trap "" TERM; echo up; while :; do sleep 0.01; done');
    await printed('up');
    expect(await process.stop({ graceMs: 50 })).toMatchObject({ signal: 'SIGKILL' });
  });

  it('joins a stop that is under way, and is escalated by a kill', async () => {
    const { process, printed } = shell('trap "" TERM; echo up; while :; do sleep 0.01; done');
    await printed('up');
    const stops = [process.stop({ graceMs: 60_000 }), process.stop({ graceMs: 1 })];
    await process.kill();
    expect(await Promise.all(stops)).toMatchObject([{ signal: 'SIGKILL' }, { signal: 'SIGKILL' }]);
  });

  it('of a process that is gone resolves at once', async () => {
    const { process } = shell('exit 0');
    await process.gone;
    expect(await process.stop({ graceMs: 60_000 })).toMatchObject({ code: 0 });
  });
});

describe('the environment of a child', () => {
  const host = { HOST_ONLY: 'yes', SECRET_OF_HOST: 'x' };
  beforeAll(() => void Object.assign(process.env, host));
  afterAll(() => Object.keys(host).forEach((name) => Reflect.deleteProperty(process.env, name)));
  const make = (options: object) =>
    childEnvironment({ inheritEnv: true, env: {}, never: [], mark: 'run:1', ...options });

  it('is the host’s, less what must not be passed on, with the mark of this run', () => {
    expect(make({ never: ['SECRET_OF_HOST'] })).toMatchObject({ HOST_ONLY: 'yes', [RUN_VARIABLE]: 'run:1' });
    expect(make({ never: ['SECRET_OF_HOST'] })).not.toHaveProperty('SECRET_OF_HOST');
  });

  it('is only what a program needs, and what is named, where that is asked for', () => {
    expect(make({ inheritEnv: false })).not.toHaveProperty('HOST_ONLY');
    expect(make({ inheritEnv: false })).toHaveProperty('PATH');
    expect(make({ inheritEnv: ['HOST_ONLY'] })).toMatchObject({ HOST_ONLY: 'yes' });
  });

  it('takes what is given over what is inherited, and leaves out what is given as undefined', () => {
    expect(make({ env: { HOST_ONLY: 'no', SECRET_OF_HOST: undefined } })).toMatchObject({ HOST_ONLY: 'no' });
    expect(make({ env: { SECRET_OF_HOST: undefined } })).not.toHaveProperty('SECRET_OF_HOST');
  });
});
