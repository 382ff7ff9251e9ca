import { devNull } from 'node:os';
import { execa } from 'execa';
import { SupervisorError } from '../../actors/errors.ts';

/** Nothing that is asked here takes that long, in milliseconds. */
const LIMIT_MS = 30_000;
/** More of an answer is not read, in characters. */
const MAX_OUTPUT = 4 * 1024 * 1024;
const MAX_SAID = 300;

/** Where git is asked, and until when. */
export interface Place {
  readonly directory: string;
  readonly signal: AbortSignal;
  /** The git directory, and the worktree that goes with it, where they are known: nothing is searched for then. */
  readonly gitDirectory?: string;
  readonly worktree?: string;
}

export interface Answer {
  readonly output: string;
  /** There was more of it than is read. */
  readonly isCut: boolean;
}

/** Neither hooks nor a monitor of files, which would be started for this; neither a pager nor a lock. */
const QUIETLY = ['--no-pager', '--no-optional-locks', '-c', `core.hooksPath=${devNull}`, '-c', 'core.fsmonitor=false'];
/** What a host's environment says of git and is not about one repository. */
const KEPT = ['GIT_CONFIG_GLOBAL', 'GIT_CONFIG_SYSTEM', 'GIT_CONFIG_NOSYSTEM', 'GIT_EXEC_PATH'];
const READING = {
  GIT_OPTIONAL_LOCKS: '0',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_LAZY_FETCH: '1',
  LC_ALL: 'C',
};

/**
 * Asks git something, and changes nothing. Rejects with `ERR_SPAWN_FAILED` where there is no git or it takes too long,
 * with `ERR_VERSION_MISMATCH` where it is too old, and with `ERR_INVALID_OPTION` where it refuses.
 */
export async function ask(args: readonly string[], place: Place): Promise<Answer> {
  const { directory, signal } = place;
  signal.throwIfAborted();
  const asked = await execa('git', [...QUIETLY, '-C', directory, ...args], {
    env: environment(place),
    extendEnv: false,
    stdin: 'ignore',
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT,
    stripFinalNewline: false,
    cancelSignal: signal,
    reject: false,
  });
  signal.throwIfAborted();
  if (asked.failed && !asked.isMaxBuffer) throw refusal(args, directory, asked);
  return { output: asked.stdout, isCut: asked.isMaxBuffer };
}

function environment({ gitDirectory, worktree }: Place): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (!entry[0].startsWith('GIT_') || KEPT.includes(entry[0])),
  );
  return {
    ...Object.fromEntries(kept),
    ...READING,
    ...(gitDirectory === undefined ? {} : { GIT_DIR: gitDirectory }),
    ...(worktree === undefined ? {} : { GIT_WORK_TREE: worktree }),
  };
}

interface Failed {
  readonly code?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly timedOut: boolean;
  readonly stderr: string;
}

/** [git] 129: an option that it does not know; 128: it could not do it, and says why. */
function refusal([what = '']: readonly string[], directory: string, failed: Failed): SupervisorError {
  const asked = `git ${what} in ${directory}`;
  if (failed.timedOut)
    return new SupervisorError('ERR_SPAWN_FAILED', `${asked} did not end within ${LIMIT_MS} ms; it was killed.`, {
      reason: 'timeout',
      cause: failed,
    });
  if (failed.exitCode === undefined) {
    const message = `git could not be started (${failed.code ?? 'killed'}): install it, or put it on the PATH.`;
    return new SupervisorError('ERR_SPAWN_FAILED', message, { reason: failed.code, cause: failed });
  }
  const said = failed.stderr.trim().slice(0, MAX_SAID);
  if (failed.exitCode === 129)
    return new SupervisorError('ERR_VERSION_MISMATCH', `${asked}: git 2.36 or later is needed. It said: ${said}`, {
      cause: failed,
    });
  return new SupervisorError('ERR_INVALID_OPTION', `${asked} failed: ${said}`, { cause: failed });
}
