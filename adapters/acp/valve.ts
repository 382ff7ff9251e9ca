/** Whether an agent's output is read: not while anybody holds it up. What is not read waits in the pipe, and then the agent. */
export class Valve {
  readonly #flow: (isRead: boolean) => void;
  readonly #holders = new Set<unknown>();
  #isKeptOpen = false;

  constructor(flow: (isRead: boolean) => void) {
    this.#flow = flow;
  }

  get isShut(): boolean {
    return this.#holders.size > 0 && !this.#isKeptOpen;
  }

  hold(holder: unknown, isHeld: boolean): void {
    this.#change(() => void (isHeld ? this.#holders.add(holder) : this.#holders.delete(holder)));
  }

  /** Whoever holds it up has to wait: something is expected that has to be read. */
  keepOpen(isKeptOpen: boolean): void {
    this.#change(() => void (this.#isKeptOpen = isKeptOpen));
  }

  /** Nobody holds it up any more. */
  release(): void {
    this.#change(() => this.#holders.clear());
  }

  #change(change: () => void): void {
    const wasShut = this.isShut;
    change();
    if (this.isShut !== wasShut) this.#flow(wasShut);
  }
}
