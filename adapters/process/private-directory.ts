import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { guardDirectory, unguardDirectory } from './guardian.ts';

/** Files of one process life that only its owner may read. They are made on demand, and go with the life or the host. */
export class PrivateDirectory {
  #path: string | undefined;

  /** Its own path; it is made with the first use. */
  path(): string {
    this.#path ??= makeDirectory();
    return this.#path;
  }

  /** Writes a file, and returns its path. */
  write(name: string, content: string): string {
    const path = join(this.path(), name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  /** Removes the files at once, and resolves when nothing watches over them any more. */
  async remove(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      return; // It stays guarded, and goes with the host at the latest.
    }
    this.#path = undefined;
    await unguardDirectory(path);
  }
}

function makeDirectory(): string {
  const path = mkdtempSync(join(resolve(tmpdir()), 'agent-supervisor-'));
  chmodSync(path, 0o700);
  guardDirectory(path);
  return path;
}
