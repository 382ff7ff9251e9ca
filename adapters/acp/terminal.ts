import { StringDecoder } from 'node:string_decoder';
import { ManagedProcess } from '../process/managed-process.ts';
import { Redactor } from '../process/redaction.ts';
import { nextChildMark, RUN_VARIABLE } from '../process/run-identity.ts';

/** How a command ended; nothing while it runs. */
export interface TerminalExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

export interface TerminalRequest {
  /** A program, or a line for the shell where there are no arguments. */
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Of a longer output the beginning is dropped, in bytes. */
  readonly outputByteLimit: number;
}

/** One command that an agent runs through its client, in a process group of its own. */
export class Terminal {
  /** Resolves when the command has ended, and all that it started. */
  readonly exited: Promise<TerminalExit>;
  readonly #process: ManagedProcess;
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #length = 0;
  #isTruncated = false;
  #exit: TerminalExit | undefined;

  constructor({ command, args, cwd, env, outputByteLimit }: TerminalRequest) {
    this.#limit = outputByteLimit;
    const mark = nextChildMark();
    const keep = (chunk: Buffer) => this.#keep(chunk);
    this.#process = new ManagedProcess({
      ...programOf(command, args),
      cwd,
      env: { ...env, [RUN_VARIABLE]: mark },
      mark,
      redactor: new Redactor(),
      onOutput: keep,
      onErrorOutput: keep,
      onEnd: () => undefined,
    });
    this.exited = this.#process.gone.then(({ code, signal, error }) => {
      if (error) this.#keep(Buffer.from(`${error.message}\n`));
      this.#exit = { exitCode: error ? 127 : code, signal };
      return this.#exit;
    });
  }

  /** What it has written so far. */
  get output(): { readonly output: string; readonly truncated: boolean; readonly exitStatus: TerminalExit | null } {
    return { output: wholeCharacters(this.#kept()), truncated: this.#isTruncated, exitStatus: this.#exit ?? null };
  }

  /** Ends the command and what it started; its output stays. */
  kill(): Promise<unknown> {
    return this.#process.kill();
  }

  #keep(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length > 2 * this.#limit) this.#kept(); // Now and then: each cut copies what is kept.
  }

  #kept(): Buffer {
    const all = Buffer.concat(this.#chunks);
    const kept = all.subarray(Math.max(0, all.length - this.#limit));
    this.#isTruncated ||= kept.length < all.length;
    this.#chunks = [kept];
    this.#length = kept.length;
    return kept;
  }
}

/** [goose] It gives a whole line for the shell as the command. */
function programOf(command: string, args: readonly string[]) {
  if (args.length > 0) return { command, args };
  return process.platform === 'win32'
    ? { command: 'cmd.exe', args: ['/d', '/s', '/c', command] }
    : { command: '/bin/sh', args: ['-c', command] };
}

/** Without the rest of a character that was cut at the beginning, or is still to come at the end. */
function wholeCharacters(bytes: Buffer): string {
  let start = 0;
  while (start < Math.min(4, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
  return new StringDecoder('utf8').write(bytes.subarray(start));
}
