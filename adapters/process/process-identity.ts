import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

/** A process, and when it began: a pid alone is given to others when its process has ended. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Digits; only ever compared. Ticks since the boot on Linux, seconds since 1970 elsewhere. */
  readonly startedAt: string;
}

/** Where pids mean anything: one boot of one machine, and one namespace in it. Empty where the system does not tell. */
export interface PidSpace {
  readonly machine: string;
  readonly boot: string;
  readonly namespace: string;
}

const PS_LIMIT_MS = 2_000;

/** When a process began; nothing where it runs no more. Throws where the system does not tell. */
export function startOf(pid: number): string | undefined {
  return process.platform === 'linux' ? startInProc(pid) : startWithPs(pid);
}

/** The process with this pid, as it is now. Throws where the system does not tell. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const startedAt = startOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** Whether it is known to have ended, whoever has its pid now. In doubt it lives. */
export function hasEnded({ pid, startedAt }: ProcessIdentity): boolean {
  try {
    return startOf(pid) !== startedAt;
  } catch {
    return false;
  }
}

/** Whether it is known to run. In doubt it does not. */
export function isRunning({ pid, startedAt }: ProcessIdentity): boolean {
  try {
    return startOf(pid) === startedAt;
  } catch {
    return false;
  }
}

/** Where this process is. */
export function pidSpace(): PidSpace {
  if (process.platform !== 'linux') return { machine: '', boot: '', namespace: '' };
  return {
    machine: told(() => readFileSync('/etc/machine-id', 'latin1').trim()),
    boot: told(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()),
    namespace: told(() => readlinkSync('/proc/self/ns/pid')),
  };
}

function told(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** [linux] Field 22 of /proc/<pid>/stat. Field 2 is the program's name in parentheses, and may hold both of them and spaces. */
function startInProc(pid: number): string | undefined {
  const stat = statOf(pid);
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startedAt = fields[18];
  if (stat === '' || state === 'Z' || state === 'X') return undefined;
  if (startedAt === undefined || !/^\d+$/.test(startedAt)) throw new Error(`/proc/${pid}/stat cannot be read.`);
  return startedAt;
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}

/** In one time zone and language, whatever those of the host are. */
function startWithPs(pid: number): string | undefined {
  const [state = '', ...date] = ps(pid).trim().split(/\s+/);
  if (state === '' || state.startsWith('Z')) return undefined;
  const seconds = Date.parse(`${date.join(' ')} UTC`) / 1_000;
  if (Number.isNaN(seconds)) throw new Error(`ps does not tell when ${pid} began.`);
  return String(seconds);
}

function ps(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)], {
      encoding: 'latin1',
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: PS_LIMIT_MS,
    });
  } catch (error) {
    if ((error as { status?: number | null }).status === 1) return ''; // There is no such process.
    throw error;
  }
}
