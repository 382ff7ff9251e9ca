import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { RUN_VARIABLE, runOf } from './run-identity.ts';

/** A living process, and the mark in its environment. */
export interface MarkedProcess {
  readonly pid: number;
  readonly mark: string;
}

type Wanted = (mark: string) => boolean;

const ENTRY = `${RUN_VARIABLE}=`;

/** The pids of the living processes that carry the mark in their environment. Never rejects. */
export async function findMarked(mark: string): Promise<readonly number[]> {
  return (await find((carried) => carried === mark)).map(({ pid }) => pid);
}

/** The living processes that one of the runs has started, however indirectly; never this one. Never rejects. */
export async function findOfRuns(runs: ReadonlySet<string>): Promise<readonly MarkedProcess[]> {
  return (await find((mark) => runs.has(runOf(mark)))).filter(({ pid }) => pid !== process.pid);
}

/** Whether the pid is still the process that carries the mark. [linux] Elsewhere it is taken to be. */
export function stillCarries({ pid, mark }: MarkedProcess): boolean {
  if (process.platform !== 'linux') return true;
  try {
    return markIn(readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0'), (carried) => carried === mark) === mark;
  } catch {
    return false; // It is gone.
  }
}

/** A child that has ended and was not waited for yet. Where there is no /proc nobody can tell. */
export function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.startsWith(' Z', stat.lastIndexOf(')') + 1);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'; // It was waited for.
  }
}

async function find(isWanted: Wanted): Promise<readonly MarkedProcess[]> {
  if (process.platform === 'linux') return findInProc(isWanted);
  return process.platform === 'win32' ? [] : findWithPs(isWanted);
}

async function findInProc(isWanted: Wanted): Promise<readonly MarkedProcess[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return marked(await Promise.all(pids.map(async (pid) => ({ pid, words: await environmentOf(pid) }))), isWanted);
}

/** A process that is gone, a zombie, or somebody else's has no readable environment: it is not ours to end. */
async function environmentOf(pid: number): Promise<readonly string[]> {
  return (await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')).split('\0');
}

/** Where there is no /proc: `ps` shows the environment of one's own processes behind the command. */
async function findWithPs(isWanted: Wanted): Promise<readonly MarkedProcess[]> {
  const { stdout } = await promisify(execFile)('ps', ['axeww', '-o', 'pid=,command='], {
    maxBuffer: 64 * 1024 * 1024,
  }).catch(() => ({ stdout: '' }));
  const lines = stdout.split('\n').map((line) => ({ pid: Number.parseInt(line, 10), words: line.split(' ') }));
  return marked(
    lines.filter(({ pid }) => Number.isInteger(pid)),
    isWanted,
  );
}

function marked(
  found: readonly { readonly pid: number; readonly words: readonly string[] }[],
  isWanted: Wanted,
): readonly MarkedProcess[] {
  return found.flatMap(({ pid, words }) => {
    const mark = markIn(words, isWanted);
    return mark === undefined ? [] : [{ pid, mark }];
  });
}

function markIn(words: readonly string[], isWanted: Wanted): string | undefined {
  const marks = words.filter((word) => word.startsWith(ENTRY)).map((word) => word.slice(ENTRY.length));
  return marks.find(isWanted);
}
