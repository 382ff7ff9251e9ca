/**
 * Keeps the host's process alive while somebody waits for this library. Its other timers do not: an idle supervisor
 * holds nobody, but a promise that the host awaits must not end its process in the middle of a backoff.
 */
export class KeepAlive {
  #holders = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Holds the process until the returned function is called. */
  hold(): () => void {
    this.#holders += 1;
    this.#timer ??= setInterval(() => undefined, LONG_MS);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#letGo();
    };
  }

  #letGo(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const LONG_MS = 2 ** 30;
