import { SupervisorError } from '../../actors/errors.ts';
import { type JsonFields, list, number, record, text } from '../json.ts';
import { Terminal, type TerminalExit } from './terminal.ts';
import type { WorktreeFiles } from './worktree-files.ts';

/** Terminals of one session that are not released. */
const MAX_TERMINALS = 32;
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Output of released terminals is kept for so many of them: the tool that it belongs to may be told of it later. */
const MAX_RELEASED = 32;

/** The commands that an agent runs in a session through its client. */
export class Terminals {
  readonly #files: WorktreeFiles;
  readonly #env: Readonly<Record<string, string>>;
  readonly #open = new Map<string, Terminal>();
  readonly #released = new Map<string, string>();
  /** Terminals that were released while their processes end. */
  readonly #ending = new Set<Promise<unknown>>();
  #count = 0;
  #isOver = false;
  #creating = 0;
  #isRefusing = false;

  /** `env`: the whole environment of a command, before what the agent adds. */
  constructor(files: WorktreeFiles, env: Readonly<Record<string, string>>) {
    this.#files = files;
    this.#env = env;
  }

  /** The session is over: nothing runs in it any more, and nothing will. */
  get isOver(): boolean {
    return this.#isOver;
  }

  async create(params: JsonFields): Promise<string> {
    if (this.#open.size + this.#creating >= MAX_TERMINALS)
      throw new SupervisorError('ERR_UNSUPPORTED', `There are ${MAX_TERMINALS} terminals already; release some.`);
    this.#creating += 1;
    const cwd = await this.#files.directory(text(params['cwd'])).finally(() => (this.#creating -= 1));
    if (this.#isOver) throw new SupervisorError('ERR_SESSION_CLOSED', 'The session is over.');
    if (this.#isRefusing) throw new SupervisorError('ERR_UNSUPPORTED', 'The turn was cancelled.');
    const limit = number(params['outputByteLimit']) ?? MAX_OUTPUT_BYTES;
    const added = list(params['env']).map(record);
    const terminal = new Terminal({
      command: text(params['command']) ?? '',
      args: list(params['args']).map(String),
      cwd,
      env: { ...this.#env, ...Object.fromEntries(added.map((one) => [String(one['name']), String(one['value'])])) },
      outputByteLimit: Math.min(limit, MAX_OUTPUT_BYTES),
    });
    this.#count += 1;
    const id = `terminal-${this.#count}`;
    this.#open.set(id, terminal);
    return id;
  }

  output(id: string): Terminal['output'] {
    return this.#terminal(id).output;
  }

  waitForExit(id: string): Promise<TerminalExit> {
    return this.#terminal(id).exited;
  }

  async kill(id: string): Promise<void> {
    await this.#terminal(id).kill();
  }

  /** The terminal is not used any more: what still runs in it ends. */
  async release(id: string): Promise<void> {
    const terminal = this.#terminal(id);
    this.#open.delete(id);
    this.#keepReleased(id, terminal.output.output);
    const gone = terminal.kill();
    this.#ending.add(gone);
    await gone;
    this.#ending.delete(gone);
  }

  /** What a terminal has written, also after its release. */
  textOf(id: string): string | undefined {
    return this.#open.get(id)?.output.output ?? this.#released.get(id);
  }

  /** The next turn may run commands again. */
  allow(): void {
    this.#isRefusing = false;
  }

  /** The turn is cancelled: ends every command that runs, and no other begins. */
  async refuse(): Promise<void> {
    this.#isRefusing = true;
    await Promise.all([...this.#open.values()].map((terminal) => terminal.kill()));
  }

  /** Ends whatever runs. Resolves when nothing does. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...[...this.#open.keys()].map((id) => this.release(id)), ...this.#ending]);
    this.#released.clear();
  }

  #terminal(id: string): Terminal {
    const terminal = this.#open.get(id);
    if (terminal) return terminal;
    throw new SupervisorError('ERR_INVALID_OPTION', `There is no terminal ${id}.`);
  }

  #keepReleased(id: string, output: string): void {
    this.#released.set(id, output);
    const [oldest] = this.#released.keys();
    if (this.#released.size > MAX_RELEASED && oldest !== undefined) this.#released.delete(oldest);
  }
}
