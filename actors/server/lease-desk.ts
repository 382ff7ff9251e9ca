import type { ServerBackend } from './server-backend.ts';

interface LentLease {
  readonly ended: AbortSignal;
  readonly value: unknown;
  readonly generation: number;
  holders: number;
}

/** Lends one lease object for each process life. A server whose lease is held is needed. */
export class LeaseDesk {
  readonly #backend: ServerBackend;
  #current: LentLease | undefined;

  constructor(backend: ServerBackend) {
    this.#backend = backend;
  }

  /** The lease of the current life, to one more holder. */
  lend(): unknown {
    const ended = this.#backend.lifeEnded;
    const isSame = this.#current?.ended === ended && this.#current.generation === this.#backend.generation;
    const lease = isSame && this.#current ? this.#current : this.#create(ended);
    lease.holders += 1;
    if (lease.holders === 1) this.#backend.changeDemand({ waiters: 1 });
    return lease.value;
  }

  #create(ended: AbortSignal): LentLease {
    const { driver, generation } = this.#backend;
    const lease: LentLease = {
      ended,
      generation,
      value: driver.lease({ generation, ended, release: () => this.#release(lease, 1) }),
      holders: 0,
    };
    ended.addEventListener('abort', () => this.#release(lease, lease.holders), { once: true });
    this.#current = lease;
    return lease;
  }

  /** Giving back more than was taken changes nothing. */
  #release(lease: LentLease, count: number): void {
    if (lease.holders === 0) return;
    lease.holders -= count;
    if (lease.holders === 0) this.#backend.changeDemand({ waiters: -1 });
  }
}
