import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { withoutSecrets } from '../../diagnostics.ts';
import { Redactor } from '../../process/redaction.ts';
import { fileName, keepLatest, privateDirectory, stampOf, writeNew } from '../../state-directory.ts';
import type { LaunchConfig } from './held-config.ts';

export interface ArchiveOptions {
  readonly stateDirectory: string;
  readonly backendId: string;
  /** How many are kept. */
  readonly keep: number;
  readonly wallNow: () => number;
}

/** Where configurations go that did not work: each content once, none is overwritten, the oldest go first. */
export class ConfigArchive {
  readonly #options: ArchiveOptions;

  constructor(options: ArchiveOptions) {
    this.#options = options;
  }

  /** Resolves with the path of the copy. Of a file it is exact; of an object the secrets are left out. */
  async keep(name: string, { content, object, id }: LaunchConfig): Promise<string> {
    const folder = await privateDirectory(join(this.#options.stateDirectory, 'archives'));
    const prefix = `${fileName(this.#options.backendId)}-${fileName(name)}-broken-`;
    const suffix = `-${(id ?? 'none').slice(0, 16)}.json`;
    const isOurs = (file: string) => file.startsWith(prefix);
    const known = (await readdir(folder)).find((file) => isOurs(file) && file.endsWith(suffix));
    if (known !== undefined) return join(folder, known);
    const path = join(folder, `${prefix}${stampOf(this.#options.wallNow())}${suffix}`);
    await writeNew(
      path,
      object ? `${JSON.stringify(withoutSecrets(object, new Redactor()), undefined, 2)}\n` : content,
    );
    await keepLatest(folder, isOurs, this.#options.keep);
    return path;
  }
}
