/** Whether an agent's output is read: not while anybody holds it up. What is not read waits in the pipe, and then the agent. */
export class Valve {
  readonly #flow: (isRead: boolean) => void;
  readonly #holders = new Set<unknown>();

  constructor(flow: (isRead: boolean) => void) {
    this.#flow = flow;
  }

  get isShut(): boolean {
    return this.#holders.size > 0;
  }

  hold(holder: unknown, isHeld: boolean): void {
    const wasShut = this.isShut;
    if (isHeld) this.#holders.add(holder);
    else this.#holders.delete(holder);
    if (this.isShut !== wasShut) this.#flow(wasShut);
  }
}
