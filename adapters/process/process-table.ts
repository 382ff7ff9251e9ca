import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { RUN_VARIABLE } from './run-identity.ts';

/** The pids of the living processes that carry the mark in their environment. Never rejects. */
export async function findMarked(mark: string): Promise<readonly number[]> {
  const entry = `${RUN_VARIABLE}=${mark}`;
  if (process.platform === 'linux') return findInProc(entry);
  return process.platform === 'win32' ? [] : findWithPs(entry);
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

async function findInProc(entry: string): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const marked = await Promise.all(pids.map(async (pid) => ((await carries(pid, entry)) ? pid : undefined)));
  return marked.filter((pid) => pid !== undefined);
}

/** A process that is gone, a zombie, or somebody else's has no readable environment: it is not ours to end. */
async function carries(pid: number, entry: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  return environment.split('\0').includes(entry);
}

/** Where there is no /proc: `ps` shows the environment of one's own processes behind the command. */
async function findWithPs(entry: string): Promise<readonly number[]> {
  const { stdout } = await promisify(execFile)('ps', ['axeww', '-o', 'pid=,command='], {
    maxBuffer: 64 * 1024 * 1024,
  }).catch(() => ({ stdout: '' }));
  const lines = stdout.split('\n').filter((line) => line.split(' ').includes(entry));
  return lines.map((line) => Number.parseInt(line, 10)).filter((pid) => Number.isInteger(pid));
}
