import { readFile, realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { invalidOption } from '../../../actors/validation.ts';
import type { StepOutcome } from '../../../actors/ports.ts';
import { replaceFile } from '../../state-directory.ts';
import type { ConfigArchive } from './config-archive.ts';
import { type Consent, type HeldConfig, idOf, impossible, type LaunchConfig, SEED } from './held-config.ts';
import type { LastKnownGood } from './last-known-good.ts';

const SEED_CONTENT = Buffer.from(`${JSON.stringify(SEED, undefined, 2)}\n`);
const SEED_ID = idOf(SEED_CONTENT);

/** A configuration in a file of the user's: written whole or not at all, in its own mode, and kept aside before. */
export class FileConfig implements HeldConfig {
  readonly #path: string;
  readonly #good: LastKnownGood;
  readonly #archive: ConfigArchive;
  /** What the rungs found, and what they put in its place. */
  #original: LaunchConfig | undefined;
  #writtenId: string | undefined;
  #realPath: string | undefined;

  constructor(path: string, good: LastKnownGood, archive: ConfigArchive) {
    this.#path = path;
    this.#good = good;
    this.#archive = archive;
  }

  /** [opencode] A configuration file that is not there is ignored by the server, with every rule that it holds. */
  async load(): Promise<LaunchConfig> {
    const found = await stat(this.#path).catch(() => undefined);
    if (!found?.isFile())
      throw invalidOption('configFile', 'an existing file', `${found ? 'a directory' : 'nothing'} at ${this.#path}`);
    this.#realPath = await realpath(this.#path);
    const content = await readFile(this.#path);
    return { id: idOf(content), file: this.#path, content };
  }

  owns(path: string | undefined): boolean {
    return path === this.#path || (path !== undefined && path === this.#realPath);
  }

  accepted(): void {
    this.#original = undefined;
  }

  async proven(config: LaunchConfig): Promise<void> {
    if (config.id !== SEED_ID) await this.#good.store(config);
  }

  async rollback(signal: AbortSignal): Promise<StepOutcome> {
    const current = await this.load();
    const good = await this.#good.read();
    if (!good) throw impossible(`No content of ${this.#path} is known that was proved to work.`);
    if (good.id === current.id) throw impossible(`${this.#path} is what was proved to work.`);
    const path = await this.#put(good.content, current, signal);
    return {
      message: `${this.#path} was put back to what was proved to work; what did not work is kept in ${path}.`,
      configId: good.id,
      path,
    };
  }

  async seed(consent: Consent, signal: AbortSignal): Promise<StepOutcome> {
    await this.restore(); // Who is asked may look at it.
    const current = await this.load();
    if (current.id === SEED_ID) throw impossible(`${this.#path} is empty already.`);
    if (!(await consent(signal))) throw impossible(`The host did not agree to an empty ${this.#path}.`);
    signal.throwIfAborted();
    const path = await this.#put(SEED_CONTENT, await this.load(), signal);
    return { message: `${this.#path} was emptied; what did not work is kept in ${path}.`, configId: SEED_ID, path };
  }

  /** Unless somebody else has written it since. */
  async restore(): Promise<StepOutcome> {
    const current = await this.load();
    const original = this.#original;
    this.#original = undefined;
    if (!original || current.id !== this.#writtenId)
      return { message: 'There is nothing to put back.', configId: current.id };
    await this.#write(original.content);
    return { message: `${this.#path} is again what it was.`, configId: original.id };
  }

  async #put(content: Uint8Array, current: LaunchConfig, signal: AbortSignal): Promise<string> {
    const archived = await this.#archive.keep(basename(this.#path), current);
    signal.throwIfAborted();
    if (this.#original === undefined || current.id !== this.#writtenId) this.#original = current;
    this.#writtenId = idOf(content);
    await this.#write(content);
    return archived;
  }

  /** A link stays a link: what it leads to is written. */
  async #write(content: Uint8Array): Promise<void> {
    const target = await realpath(this.#path);
    const { mode, uid, gid } = await stat(target);
    await replaceFile(target, content, { mode: mode & 0o777, uid, gid });
  }
}
