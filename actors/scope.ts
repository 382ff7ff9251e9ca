/** Releases a resource; called at most once. */
export type Release = () => void | Promise<void>;

/**
 * Owns resources outside of any chart: a chart that breaks leaves its children running and their cleanup uncalled.
 * Every acquire registers its release here; who ends the scope ends them all, the last one acquired first.
 */
export class Scope {
  readonly #releases = new Map<Release, Promise<void> | undefined>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Registers a release. Returns the function that runs it early, once. */
  defer(release: Release): () => Promise<void> {
    this.#releases.set(release, undefined);
    return () => this.#run(release);
  }

  /** Releases everything and resolves when all of it is gone, also what is being released already. Never rejects. */
  async release(): Promise<void> {
    await Promise.all([...this.#releases.keys()].reverse().map((release) => this.#run(release)));
  }

  #run(release: Release): Promise<void> {
    if (!this.#releases.has(release)) return Promise.resolve();
    const running = this.#releases.get(release) ?? this.#release(release);
    this.#releases.set(release, running);
    return running;
  }

  async #release(release: Release): Promise<void> {
    try {
      await release();
    } catch (error) {
      this.#onError(error);
    }
    this.#releases.delete(release);
  }
}
