import { stat } from 'node:fs/promises';
import { invalidOption } from '../../actors/validation.ts';

/** Throws `ERR_INVALID_OPTION` for what is no directory. */
export async function expectDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw invalidOption('directory', 'an existing directory', `${found ? 'a file' : 'nothing'} at ${path}`);
}
