import { access, constants } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { valid } from 'semver';
import type { LaunchOptions } from './options.ts';

/** Looked up in PATH when nothing else is known. */
const DEFAULT_COMMAND = 'opencode';

/**
 * The program to start: a name is looked up in PATH, a path that is not absolute begins at `cwd`. Where no command was given
 * but an exact version and a `cwd`, the project's own program of that version comes first.
 */
export async function resolveCommand({ command, version, cwd, isOwnDirectory }: LaunchOptions): Promise<string> {
  if (command !== undefined) return isPath(command) && !isAbsolute(command) ? resolve(cwd, command) : command;
  const pin = valid(version ?? '');
  if (pin === null || !isOwnDirectory) return DEFAULT_COMMAND;
  const own = join(cwd, '.opencode', 'bin', `opencode-v${pin}`);
  const isThere = await access(own, constants.X_OK).then(
    () => true,
    () => false,
  );
  return isThere ? own : DEFAULT_COMMAND;
}

const isPath = (command: string): boolean => /[/\\]/.test(command);
