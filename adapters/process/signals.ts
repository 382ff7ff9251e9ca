/** Sends a signal; `false` where there is nobody to receive it. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Signals a process group; on Windows, which has none, the process itself. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  return signalProcess(process.platform === 'win32' ? pid : -pid, signal);
}

/** Asks a group to end. A stopped (SIGSTOP) process acts on it only after SIGCONT. */
export function terminateGroup(pid: number): boolean {
  const sent = signalGroup(pid, 'SIGTERM');
  if (process.platform !== 'win32') signalGroup(pid, 'SIGCONT');
  return sent;
}

/** ESRCH: nobody there. EPERM: on some systems, only zombies are left of a group. */
function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ESRCH' || code === 'EPERM';
}
