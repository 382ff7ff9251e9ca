import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guardDirectory, unguardDirectory } from './guardian.ts';
import { ownDirectoryPath } from './own-directory.ts';
import { forgetDirectory, leaveDirectory, recordDirectory } from './registry.ts';
import { runId } from './run-identity.ts';

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
      leaveDirectory();
      return; // It stays guarded, and goes with the host at the latest.
    }
    this.#path = undefined;
    await release(path);
  }
}

/** It is watched over before it is there. */
function makeDirectory(): string {
  const path = ownDirectoryPath(runId());
  recordDirectory(path);
  guardDirectory(path);
  try {
    mkdirSync(path, { mode: 0o700 });
    return path;
  } catch (error) {
    void release(path);
    throw error;
  }
}

function release(path: string): Promise<void> {
  forgetDirectory(path);
  return unguardDirectory(path);
}
