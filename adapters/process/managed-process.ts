import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { dismissGuardian, guardGroup, raiseGuardian, unguardGroup } from './guardian.ts';
import { drain, lineSplitter, TextRing } from './output.ts';
import type { Redactor } from './redaction.ts';
import { isZombie } from './process-table.ts';
import { forgetChild, recordChild } from './registry.ts';
import { signalGroup, terminateGroup } from './signals.ts';
import { sweep } from './sweep.ts';

export interface ManagedProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** What the child and its descendants carry in their environment. */
  readonly mark: string;
  readonly redactor: Redactor;
  /** The output, line by line; long lines are cut. */
  readonly onLine?: (line: string) => void;
  /** The output as it comes. */
  readonly onOutput?: (chunk: Buffer) => void;
  /** The error output as it comes. Its end is kept in any case. */
  readonly onErrorOutput?: (chunk: Buffer) => void;
  /** Whether it reads what is written to `input`. */
  readonly hasInput?: boolean;
  /** Called once, when the process has exited and its output was read; what it started may still be there. */
  readonly onExit?: () => void;
  /** Called once, when the process and what it started are gone. */
  readonly onEnd: (end: ProcessEnd) => void;
}

/** How a process ended. `error` is set where it never ran. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: NodeJS.ErrnoException;
  /** Processes that could not be ended. */
  readonly survivors: readonly number[];
}

export interface StopOptions {
  /** The protocol's own stop; the signals follow when it is done, or at the grace. */
  readonly politely?: (signal: AbortSignal) => Promise<void>;
  /** Time for the protocol's own stop, and then for SIGTERM, in milliseconds. */
  readonly graceMs: number;
}

/** SIGTERM needs less patience than a protocol's own stop: nothing handles it better with more time. */
const MAX_TERM_MS = 3_000;
/** How long output may still come after the exit; a grandchild can hold the pipe for ever. */
const DRAIN_MS = 150;
const SWEEP_MS = 2_000;
const STDERR_CHARACTERS = 64 * 1024;

/** How long `stop` takes at most, in milliseconds. */
export const stopLimitMs = (graceMs: number): number => graceMs + Math.min(graceMs, MAX_TERM_MS) + DRAIN_MS + SWEEP_MS;

type Child = ReturnType<typeof spawnChild>;

/**
 * One process in a group of its own. Its output is always drained, it settles on exit and never on a pipe, and whatever
 * it started goes with it.
 */
export class ManagedProcess {
  readonly pid: number | undefined;
  /** Resolves when the process and what it started are gone. Never rejects. */
  readonly gone: Promise<ProcessEnd>;
  readonly #options: ManagedProcessOptions;
  readonly #child: Child;
  readonly #stderr = new TextRing(STDERR_CHARACTERS);
  #exited = false;
  #stopping: Promise<ProcessEnd> | undefined;

  constructor(options: ManagedProcessOptions) {
    this.#options = options;
    raiseGuardian();
    try {
      this.#child = spawnChild(options);
    } catch (error) {
      void dismissGuardian();
      throw error;
    }
    this.pid = this.#child.pid;
    if (this.pid !== undefined) keepWatch(this.pid);
    this.#child.stdin?.on('error', () => undefined); // EPIPE of a process that is dying; its exit is reported elsewhere.
    if (options.onOutput) this.#child.stdout.on('data', options.onOutput).on('error', () => undefined);
    else
      drain(
        this.#child.stdout,
        lineSplitter((line) => options.onLine?.(line)),
      );
    drain(this.#child.stderr, (text) => this.#stderr.write(text));
    if (options.onErrorOutput) this.#child.stderr.on('data', options.onErrorOutput);
    this.gone = this.#awaitEnd();
  }

  /** The input of a process that has one. */
  get input(): Writable | null {
    return this.#child.stdin;
  }

  /** It runs no more, though the system may not have told yet. [linux] Elsewhere only what was told is known. */
  get isDead(): boolean {
    return this.#exited || this.pid === undefined || isZombie(this.pid);
  }

  /** Whether its output is read. Unread, it fills the pipe, and the process waits; after its exit all is read. */
  flow(isRead: boolean): void {
    if (isRead) this.#child.stdout.resume();
    else if (!this.#exited) this.#child.stdout.pause();
  }

  /** The last characters of the error output, without secrets. */
  stderrTail(length: number): string {
    return this.#options.redactor.redact(this.#stderr.tail(STDERR_CHARACTERS)).slice(-length).trim();
  }

  /** Ends it by the ladder: protocol, SIGTERM and SIGCONT, SIGKILL. Asking again joins. */
  stop(options: StopOptions): Promise<ProcessEnd> {
    this.#stopping ??= this.#climbDown(options);
    return this.#stopping;
  }

  /** SIGKILL to the group, now. */
  kill(): Promise<ProcessEnd> {
    if (!this.#exited && this.pid !== undefined) signalGroup(this.pid, 'SIGKILL');
    return this.gone;
  }

  async #climbDown({ politely, graceMs }: StopOptions): Promise<ProcessEnd> {
    if (politely) await this.#within(graceMs, politely);
    if (!this.#exited && this.pid !== undefined) terminateGroup(this.pid);
    await this.#within(Math.min(graceMs, MAX_TERM_MS), () => this.gone);
    return this.kill();
  }

  /** Waits for the work, the exit, or the limit, whichever comes first. */
  async #within(limitMs: number, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const over = new AbortController();
    const limit = delay(limitMs, undefined, { signal: over.signal }).catch(() => undefined);
    const done = work(over.signal).catch(() => undefined);
    await Promise.race([done, limit, this.gone]);
    over.abort();
  }

  async #awaitEnd(): Promise<ProcessEnd> {
    const exit = await exitOf(this.#child);
    this.#exited = true;
    this.flow(true);
    const read = drained(this.#child).then(() => this.#options.onExit?.());
    const [survivors] = await Promise.all([this.#sweep(), read]);
    this.#child.stdin?.destroy();
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
    await (this.pid === undefined ? dismissGuardian() : endWatch(this.pid, survivors));
    const end = { ...exit, survivors };
    this.#options.onEnd(end);
    return end;
  }

  /** What is left of its group, and whatever it started that left the group. */
  async #sweep(): Promise<readonly number[]> {
    if (this.pid === undefined) return [];
    signalGroup(this.pid, 'SIGKILL');
    return sweep(this.#options.mark, SWEEP_MS);
  }
}

/** Whatever becomes of the host, the child goes with it. */
function keepWatch(pid: number): void {
  guardGroup(pid);
  recordChild(pid);
}

async function endWatch(pid: number, survivors: readonly number[]): Promise<void> {
  forgetChild(pid, survivors);
  await unguardGroup(pid);
}

function spawnChild({ command, args, cwd, env, hasInput = false }: ManagedProcessOptions) {
  return execa(command, args, {
    cwd,
    env,
    extendEnv: false,
    detached: true,
    cleanup: false,
    buffer: false,
    reject: false,
    stdin: hasInput ? 'pipe' : 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

/** The exit of the process itself: execa's own promise waits for the pipes, which a grandchild may hold. */
async function exitOf(child: Child): Promise<Omit<ProcessEnd, 'survivors'>> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    void child.then((result) => {
      if (child.pid !== undefined) return;
      const cause = (result as { cause?: NodeJS.ErrnoException }).cause;
      resolve({ code: null, signal: null, error: cause ?? new Error('The process could not be started.') });
    });
  });
}

async function drained(child: Child): Promise<void> {
  const over = new AbortController();
  const limit = delay(DRAIN_MS, undefined, { signal: over.signal }).catch(() => undefined);
  const pipes = Promise.all([ended(child.stdout), ended(child.stderr)]);
  await Promise.race([pipes, limit]);
  over.abort();
}

function ended(stream: Readable): Promise<void> {
  if (stream.readableEnded || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('end', resolve);
    stream.once('close', resolve);
  });
}
