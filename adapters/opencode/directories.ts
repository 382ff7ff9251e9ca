import type { Logger } from '../../actors/ports.ts';

/** Gives up what the server holds of a directory: it is read again with the next request about it. */
export type Dispose = (directory: string) => Promise<unknown>;

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

  /** Something is about to be asked about the directory. */
  async use(directory: string): Promise<void> {
    const held = this.#of(directory);
    await held.refreshing;
    if (held.isStale && held.turns === 0) await this.#refresh(directory, held);
  }

  /** A turn is about to run there. Returns the function that ends that. */
  async enter(directory: string): Promise<() => void> {
    const held = this.#of(directory);
    await this.use(directory);
    held.turns += 1;
    let isIn = true;
    return () => {
      if (isIn) held.turns -= 1;
      isIn = false;
    };
  }

  /** Reads all of them again: now where nobody works, before the next turn otherwise. */
  async refreshAll(): Promise<void> {
    for (const held of this.#held.values()) held.isStale = true;
    await Promise.all([...this.#held.keys()].map((directory) => this.use(directory)));
  }

  #of(directory: string): Held {
    const held = this.#held.get(directory) ?? { turns: 0, isStale: false, refreshing: undefined };
    this.#held.set(directory, held);
    return held;
  }

  #refresh(directory: string, held: Held): Promise<void> {
    held.isStale = false;
    held.refreshing = this.#dispose(directory).then(
      () => undefined,
      (error: unknown) => {
        held.isStale = true;
        this.#logger.warn(
          { err: error, directory },
          'A directory could not be read again; it is tried before the next turn.',
        );
      },
    );
    return held.refreshing.finally(() => (held.refreshing = undefined));
  }
}
