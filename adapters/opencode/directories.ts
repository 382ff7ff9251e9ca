import type { Logger } from '../../actors/ports.ts';

/**
 * Gives up what the server holds of a directory, so that it is read again with the next request about it. `false`: somebody
 * works there.
 */
export type Dispose = (directory: string) => Promise<boolean>;

interface Held {
  turns: number;
  isStale: boolean;
  /** It is being given up. */
  refreshing: Promise<void> | undefined;
}

/**
 * [opencode] The server reads its configuration once for each directory, when it is first asked about it. Which ones
 * are in use, and which are to be read again as soon as nobody works there.
 */
export class Directories {
  readonly #dispose: Dispose;
  readonly #logger: Logger;
  readonly #held = new Map<string, Held>();

  constructor(dispose: Dispose, logger: Logger) {
    this.#dispose = dispose;
    this.#logger = logger;
  }

  /** Another server: it has read nothing yet. */
  forgetStale(): void {
    for (const held of this.#held.values()) held.isStale = false;
  }

  /** The server has been asked about the directory. */
  know(directory: string): void {
    this.#of(directory);
  }

  /** Something is about to be asked about the directory. */
  async use(directory: string): Promise<void> {
    await this.#refreshed(directory, 0);
  }

  /** A turn is about to run there. Resolves with the function that ends that. */
  async enter(directory: string): Promise<() => void> {
    const held = this.#of(directory);
    held.turns += 1; // Counted at once: nobody gives the directory up under a turn that begins.
    await this.#refreshed(directory, 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      held.turns -= 1;
      void this.#refreshed(directory, 0);
    };
  }

  /** Reads all of them again: now where nobody works, as soon as nobody does otherwise. */
  async refreshAll(): Promise<void> {
    for (const held of this.#held.values()) held.isStale = true;
    await Promise.all([...this.#held.keys()].map((directory) => this.use(directory)));
  }

  /** Gives it up where it is stale and no more than `own` turns are there. */
  async #refreshed(directory: string, own: number): Promise<void> {
    const held = this.#of(directory);
    if (!held.refreshing && held.isStale && held.turns <= own) held.refreshing = this.#refresh(directory, held);
    await held.refreshing;
  }

  async #refresh(directory: string, held: Held): Promise<void> {
    held.isStale = false;
    try {
      held.isStale = !(await this.#dispose(directory));
    } catch (error) {
      held.isStale = true;
      this.#logger.warn(
        { err: error, directory },
        'A directory could not be read again; it is tried before the next turn.',
      );
    } finally {
      held.refreshing = undefined;
    }
  }

  #of(directory: string): Held {
    const held = this.#held.get(directory) ?? { turns: 0, isStale: false, refreshing: undefined };
    this.#held.set(directory, held);
    return held;
  }
}
