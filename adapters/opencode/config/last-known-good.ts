import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { privateDirectory, replaceFile } from '../../state-directory.ts';
import { idOf, type LaunchConfig } from './held-config.ts';

const PREFIX = 'proven-';

/** The last content of a configuration file that was proved to work, kept under the hash of its content. */
export class LastKnownGood {
  readonly #folder: string;

  /** Backends that read the same file share what is known of it. */
  constructor(stateDirectory: string, path: string) {
    this.#folder = join(stateDirectory, 'configs', idOf(path).slice(0, 16));
  }

  /** From now on this is the one to go back to. */
  async store({ content }: LaunchConfig): Promise<void> {
    const folder = await privateDirectory(this.#folder);
    const name = `${PREFIX}${idOf(content)}`;
    if ((await this.read())?.id !== idOf(content)) await replaceFile(join(folder, name), content);
    for (const other of await this.#names()) if (other !== name) await rm(join(folder, other), { force: true });
  }

  /** Nothing where there is none, or where it is no longer what was stored. */
  async read(): Promise<{ readonly id: string; readonly content: Buffer } | undefined> {
    for (const name of await this.#names()) {
      const content = await readFile(join(this.#folder, name)).catch(() => undefined); // Gone meanwhile.
      if (content !== undefined && idOf(content) === name.slice(PREFIX.length)) return { id: idOf(content), content };
    }
    return undefined;
  }

  async #names(): Promise<readonly string[]> {
    const names = await readdir(this.#folder).catch(() => []); // Nothing was stored yet.
    return names.filter((name) => name.startsWith(PREFIX));
  }
}
