import type { Clock, Logger } from '../../actors/ports.ts';

/**
 * Gives up what the server holds of a directory, so that it is read again with the next request about it. `false`: somebody
 * works there.
 */
export type Dispose = (directory: string) => Promise<boolean>;

/** How much a server may hold that nobody uses: counts and milliseconds. */
export interface DirectoryLimits {
  readonly maxWarm: number;
  readonly idleTtlMs: number;
  readonly sweepMs: number;
}

export interface DirectoriesOptions {
  readonly dispose: Dispose;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absent: the server is not ours, and what it holds is not ours to give up. */
  readonly limits: DirectoryLimits | undefined;
}

interface Held {
  readonly directory: string;
  /** Turns that run there, sessions that are being opened, and connections to its events. */
  users: number;
  isStale: boolean;
  /** The server holds what it needs to work there: files, language servers, MCP servers. */
  isWarm: boolean;
  usedAt: number;
  use: number;
  /** The server was last asked to give it up, and did not. */
  triedAt: number;
  /** It is being given up. */
  refreshing: Promise<void> | undefined;
}

/**
 * [opencode] The server reads its configuration once for each directory, when it is first asked about it, and never lets go
 * of it by itself. Which ones are in use, which are to be read again as soon as nobody works there, and which nobody has
 * used for so long that they are given up.
 */
export class Directories {
  readonly #options: DirectoriesOptions;
  readonly #held = new Map<string, Held>();
  #uses = 0;
  #isServed = true;
  #sweep: { readonly timer: unknown } | undefined;

  constructor(options: DirectoriesOptions) {
    this.#options = options;
  }

  /** A server begins: it has read nothing yet. */
  begin(): void {
    this.end();
    this.#isServed = true;
  }

  /** The server is gone, and what it held is gone with it. */
  end(): void {
    this.#isServed = false;
    for (const held of this.#held.values()) {
      held.isStale = false;
      held.isWarm = false;
      this.#drop(held);
    }
    this.#disarm();
  }

  /** The server is asked about the directory. */
  touch(directory: string): void {
    if (!this.#isServed) return;
    const held = this.#of(directory);
    this.#note(held);
    held.isWarm = true;
    this.#arm();
    this.#makeRoom(held);
  }

  /** Keeps the directory until the function is called. */
  hold(directory: string): () => void {
    const held = this.#of(directory);
    held.users += 1; // Counted at once: nobody gives the directory up under a turn that begins.
    this.touch(directory);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      held.users -= 1;
      this.#note(held);
      this.#makeRoom();
      void this.#refreshed(held, 0);
    };
  }

  /** Something is about to happen there. Resolves with the function that ends that. */
  async enter(directory: string): Promise<() => void> {
    const leave = this.hold(directory);
    await this.#refreshed(this.#of(directory), 1);
    this.touch(directory); // What was given up meanwhile is read again.
    return leave;
  }

  /** Reads all of them again: now where nobody works, as soon as nobody does otherwise. */
  async refreshAll(): Promise<void> {
    const known = [...this.#held.values()];
    for (const held of known) held.isStale = true;
    await Promise.all(known.map((held) => this.#refreshed(held, 0)));
  }

  #note(held: Held): void {
    this.#uses += 1;
    held.use = this.#uses;
    held.usedAt = this.#options.clock.now();
  }

  /** Gives it up where it is stale and no more than `own` users are there. */
  async #refreshed(held: Held, own: number): Promise<void> {
    if (!held.refreshing && held.isStale && held.users <= own) this.#giveUp(held);
    await held.refreshing;
  }

  #giveUp(held: Held): void {
    held.refreshing = this.#refresh(held).finally(() => {
      held.refreshing = undefined;
      this.#drop(held);
    });
  }

  async #refresh(held: Held): Promise<void> {
    const wasStale = held.isStale;
    held.isStale = false;
    try {
      const isGone = await this.#options.dispose(held.directory);
      held.isStale = wasStale && !isGone;
      held.isWarm = !isGone;
    } catch (error) {
      held.isStale = wasStale;
      const { directory } = held;
      this.#options.logger.warn(
        { err: error, directory },
        'The server did not give up a directory; it is asked again.',
      );
    }
    if (held.isWarm) held.triedAt = this.#options.clock.now(); // Not again right away.
  }

  /** The least recently used first, and never one in use, such as the one that somebody comes for. */
  #makeRoom(comer?: Held): void {
    const { limits } = this.#options;
    if (!limits) return;
    const warm = [...this.#held.values()].filter(({ isWarm, refreshing }) => isWarm && !refreshing);
    const surplus = warm.length - limits.maxWarm;
    if (surplus <= 0) return;
    const free = warm.filter((held) => held !== comer && this.#isFree(held, limits)).sort((a, b) => a.use - b.use);
    for (const held of free.slice(0, surplus)) this.#giveUp(held);
  }

  #isFree({ isWarm, users, refreshing, triedAt }: Held, { sweepMs }: DirectoryLimits): boolean {
    return isWarm && users === 0 && !refreshing && this.#options.clock.now() - triedAt >= sweepMs;
  }

  #sweepNow(limits: DirectoryLimits): void {
    this.#sweep = undefined;
    const now = this.#options.clock.now();
    for (const held of this.#held.values())
      if (this.#isFree(held, limits) && now - held.usedAt >= limits.idleTtlMs) this.#giveUp(held);
    this.#arm();
  }

  /** Looks again as long as there is something to give up. */
  #arm(): void {
    const { limits, clock } = this.#options;
    if (!limits || this.#sweep || ![...this.#held.values()].some(({ isWarm }) => isWarm)) return;
    this.#sweep = { timer: clock.setTimeout(() => this.#sweepNow(limits), limits.sweepMs) };
  }

  #disarm(): void {
    if (this.#sweep) this.#options.clock.clearTimeout(this.#sweep.timer);
    this.#sweep = undefined;
  }

  #drop({ directory, isWarm, isStale, users, refreshing }: Held): void {
    if (!isWarm && !isStale && users === 0 && !refreshing) this.#held.delete(directory);
  }

  #of(directory: string): Held {
    const known = this.#held.get(directory);
    if (known) return known;
    const unused = { users: 0, usedAt: 0, use: 0, triedAt: Number.NEGATIVE_INFINITY };
    const held: Held = { directory, ...unused, isStale: false, isWarm: false, refreshing: undefined };
    this.#held.set(directory, held);
    return held;
  }
}
