/** Releases a resource; called at most once. */
export type Release = () => void | Promise<void>;

/**
 * Owns resources outside of any chart: a chart that breaks leaves its children running and their cleanup uncalled.
 * Every acquire registers its release here; who ends the scope ends them all, the last one acquired first.
 */
export class Scope {
  readonly #releases = new Set<Release>();
  readonly #onError: (error: unknown) => void;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Registers a release. Returns the function that runs it early, once. */
  defer(release: Release): () => Promise<void> {
    this.#releases.add(release);
    return () => this.#run(release);
  }

  /** Releases everything and resolves when all of it is gone. Never rejects. */
  async release(): Promise<void> {
    await Promise.all([...this.#releases].reverse().map((release) => this.#run(release)));
  }

  get size(): number {
    return this.#releases.size;
  }

  async #run(release: Release): Promise<void> {
    if (!this.#releases.delete(release)) return;
    try {
      await release();
    } catch (error) {
      this.#onError(error);
    }
  }
}
