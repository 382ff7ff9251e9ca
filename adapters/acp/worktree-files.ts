import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { SupervisorError } from '../../actors/errors.ts';

/** Larger files are not read or written for an agent, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Which lines of a file: from this one on, counted from one, and at most so many. */
export interface LineRange {
  readonly line?: number | null | undefined;
  readonly limit?: number | null | undefined;
}

/**
 * The files of one worktree, for an agent that reads and writes through its client. Every path is followed to the file it
 * really is, and that has to be a plain file of the worktree with no other name; what cannot be proved is refused. It
 * confines these methods and nothing else: an agent that has tools of its own reads and writes with those.
 */
export class WorktreeFiles {
  readonly #root: string;
  #identity: { readonly dev: number; readonly ino: number } | undefined;

  /** `root` is absolute. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Remembers which directory the worktree is: another one in its place is not the worktree. */
  async pin(): Promise<void> {
    const { dev, ino } = await stat(this.#root);
    this.#identity = { dev, ino };
  }

  async read(path: string, range: LineRange = {}): Promise<string> {
    const real = await this.#realFile(path);
    const file = await open(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(refuse(path, 'it cannot be opened'));
    try {
      const stats = await file.stat();
      expectPlain(path, stats);
      if (stats.size > MAX_BYTES) throw outside(path, `it has more than ${MAX_BYTES} bytes`);
      await this.#expectInside(path, file, real);
      return select(await file.readFile('utf8'), range);
    } finally {
      await file.close();
    }
  }

  async write(path: string, content: string): Promise<void> {
    if (Buffer.byteLength(content) > MAX_BYTES) throw outside(path, `it would have more than ${MAX_BYTES} bytes`);
    const wanted = await this.#within(path);
    const parent = await this.#makeParent(path, dirname(wanted));
    const directory = await open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(
      refuse(path, 'its directory is none'),
    );
    try {
      await this.#expectInside(path, directory, parent);
      await this.#replace(path, placeIn(directory, parent), basename(wanted), content);
    } finally {
      await directory.close();
    }
  }

  /** The directory that the path leads to; absent: the worktree itself. */
  async directory(path: string = this.#root): Promise<string> {
    const root = await this.#realRoot(path);
    if (path === this.#root) return root;
    const real = await realpath(await this.#within(path)).catch(refuse(path, 'it does not exist'));
    if (real !== root) expectBelow(path, root, real);
    const stats = await stat(real).catch(refuse(path, 'it does not exist'));
    if (!stats.isDirectory()) throw outside(path, 'it is no directory');
    return real;
  }

  /** Written beside it and moved into its place: a reader sees the old or the new text, and no link is followed. */
  async #replace(path: string, place: string, name: string, content: string): Promise<void> {
    const target = join(place, name);
    const known = await lstat(target).catch(() => undefined);
    if (known) expectPlain(path, known);
    const temporary = join(place, `.${name}.${randomUUID()}`);
    const file = await open(
      temporary,
      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
      known ? known.mode & 0o777 : 0o644,
    ).catch(refuse(path, 'it cannot be written'));
    try {
      await file.writeFile(content);
      await file.close();
      await rename(temporary, target);
    } catch (error) {
      await file.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined); // It may be in its place already.
      throw outside(path, 'it cannot be written', error);
    }
  }

  /** The file that the path leads to, through whatever links. */
  async #realFile(path: string): Promise<string> {
    const wanted = await this.#within(path);
    const real = await realpath(wanted).catch(refuse(path, 'it does not exist'));
    expectBelow(path, await this.#realRoot(path), real);
    return real;
  }

  /** The directory for a new file. What is missing of it is made, from the last one that is there. */
  async #makeParent(path: string, parent: string): Promise<string> {
    const root = await this.#realRoot(path);
    let existing = parent;
    while (!(await lstat(existing).catch(() => undefined)) && existing !== dirname(existing))
      existing = dirname(existing);
    const real = await realpath(existing).catch(refuse(path, 'its directory leads nowhere'));
    if (real !== root) expectBelow(path, root, real);
    const missing = relative(existing, parent);
    const made = join(real, missing);
    if (missing !== '') await mkdir(made, { recursive: true }).catch(refuse(path, 'its directory cannot be made'));
    const checked = await realpath(made).catch(refuse(path, 'its directory leads nowhere'));
    if (checked !== root) expectBelow(path, root, checked);
    return checked;
  }

  /** The path as it is written, before any link is followed. */
  async #within(path: string): Promise<string> {
    if (path.includes('\0')) throw outside(path.replaceAll('\0', '␀'), 'it contains NUL');
    if (!isAbsolute(path)) throw outside(path, 'it is not absolute');
    const normal = resolve(path);
    const root = await this.#realRoot(path);
    if (isBelow(this.#root, normal) || isBelow(root, normal)) return normal;
    throw outside(path, 'it is not in the worktree');
  }

  async #realRoot(path: string): Promise<string> {
    const { dev, ino } = await stat(this.#root).catch(refuse(path, 'the worktree is gone'));
    if (!this.#identity || dev !== this.#identity.dev || ino !== this.#identity.ino)
      throw outside(path, 'the worktree was replaced');
    return realpath(this.#root);
  }

  /** What was opened is what was checked, whatever was moved or linked in between. */
  async #expectInside(path: string, file: FileHandle, checked: string): Promise<void> {
    const root = await this.#realRoot(path);
    if (process.platform === 'linux') {
      const opened = await readlink(`/proc/self/fd/${file.fd}`).catch(refuse(path, 'it cannot be checked'));
      if (opened !== root) expectBelow(path, root, opened);
      return;
    }
    const [now, then] = await Promise.all([stat(checked), file.stat()]).catch(refuse(path, 'it cannot be checked'));
    if (now.dev !== then.dev || now.ino !== then.ino || (await realpath(checked)) !== checked)
      throw outside(path, 'it was replaced');
  }
}

/** Where the names of a directory are looked up: in the directory that is open, where the system can say so. */
function placeIn(directory: FileHandle, path: string): string {
  return process.platform === 'linux' ? `/proc/self/fd/${directory.fd}` : path;
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function expectBelow(path: string, root: string, real: string): void {
  if (!isBelow(root, real)) throw outside(path, 'it leads out of the worktree');
}

/** A file with another name may be one of somebody else's. */
function expectPlain(path: string, stats: Stats): void {
  if (!stats.isFile()) throw outside(path, 'it is no plain file');
  if (stats.nlink > 1) throw outside(path, 'it has more than one name');
}

function refuse(path: string, why: string): (error: unknown) => never {
  return (error) => {
    throw outside(path, why, error);
  };
}

function outside(path: string, why: string, cause?: unknown): SupervisorError {
  return new SupervisorError('ERR_PATH_OUTSIDE_WORKTREE', `${path} is refused: ${why}.`, { cause });
}

function select(content: string, { line, limit }: LineRange): string {
  if ((line ?? null) === null && (limit ?? null) === null) return content;
  const from = Math.max(0, (line ?? 1) - 1);
  const lines = content.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return lines.slice(from, limit === null || limit === undefined ? undefined : from + Math.max(0, limit)).join('');
}
