/** So many pieces in so short a time, in milliseconds, are a flood. */
const PIECES = 2;
const WITHIN_MS = 2;
/** How long a flood is left to gather, in milliseconds. */
const GATHER_MS = 1;

/**
 * Reading a piece costs the same whatever is in it. An agent that writes many small ones in a row is read in fewer and
 * larger ones, a little later; one that does not is read at once.
 */
export class Flood {
  readonly #hold: (isHeld: boolean) => void;
  #pieces = 0;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(hold: (isHeld: boolean) => void) {
    this.#hold = hold;
  }

  /** A piece was read. */
  note(): void {
    const now = performance.now();
    if (now - this.#since > WITHIN_MS) {
      this.#since = now;
      this.#pieces = 0;
    }
    this.#pieces += 1;
    if (this.#pieces < PIECES || this.#timer) return;
    this.#hold(true);
    this.#timer = setTimeout(() => this.end(), GATHER_MS);
  }

  /** Whatever was gathered is read. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#timer) this.#hold(false);
    this.#timer = undefined;
  }
}
