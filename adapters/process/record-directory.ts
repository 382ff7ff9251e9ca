import { chmodSync, constants, lstatSync, mkdirSync, renameSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseRecord, type RecordFile, readFileName, recordFileName, type RunRecord } from './run-record.ts';

const OWNER_ONLY = 0o600;
const MAX_RECORD_BYTES = 1024 * 1024;

/** The path of a file among the records. */
export const pathOf = (directory: string, file: RecordFile): string => join(directory, recordFileName(file));

/** Puts the record in the place of the one before, whole or not at all. Throws what the disk says. */
export function writeRecord(directory: string, record: RunRecord): void {
  makeDirectory(directory);
  const { run } = record;
  const temporary = pathOf(directory, { kind: 'temporary', run });
  try {
    rmSync(temporary, { force: true });
    writeFileSync(temporary, JSON.stringify(record), { flag: 'wx', mode: OWNER_ONLY });
    renameSync(temporary, pathOf(directory, { kind: 'record', run }));
  } catch (error) {
    removeQuietly(temporary);
    throw error;
  }
}

/** There is nothing to record any more. Throws what the disk says. */
export function removeRecord(directory: string, run: string): void {
  rmSync(pathOf(directory, { kind: 'record', run }), { force: true });
}

/** What is among the records; nothing where there never was one, or where they are not ours alone to write. */
export async function listRecords(directory: string): Promise<readonly RecordFile[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  if (names.length > 0) expectPrivate(directory);
  return names.map(readFileName).filter((file) => file !== undefined);
}

/** `changed`: it is gone, somebody else was faster. Nothing: it cannot be understood, and is nobody's to touch. */
export async function readRecord(directory: string, file: RecordFile): Promise<RunRecord | 'changed' | undefined> {
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(pathOf(directory, file), flags);
    return parseRecord(await contentOf(handle).finally(() => handle.close()), file.run);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'changed' : undefined;
  }
}

/** Empty where it is no file of ours. */
async function contentOf(handle: FileHandle): Promise<string> {
  const found = await handle.stat();
  if (!found.isFile() || !isOurs(found) || found.size > MAX_RECORD_BYTES) return '';
  return handle.readFile('utf8');
}

/** Whether a file or directory belongs to the user of this process. */
export const isOurs = ({ uid }: Pick<Stats, 'uid'>): boolean => uid === process.getuid?.();

function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  expectPrivate(directory);
}

/** Who can write records can have processes ended and directories removed. */
function expectPrivate(directory: string): void {
  const found = lstatSync(directory);
  if (!found.isDirectory() || !isOurs(found)) throw new Error(`${directory} is no directory of this user's own`);
  if ((found.mode & 0o077) !== 0) chmodSync(directory, 0o700);
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    return; // The disk is failing, and that is told already.
  }
}
