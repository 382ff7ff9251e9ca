import type { KeepAlive } from '../defaults/keep-alive.ts';
import type { LifecycleState } from '../contract/status.ts';
import { commandsDone } from './await-healthy.ts';
import type { LifeRuntime, StateChange } from './life-runtime.ts';

const isDown = (state: LifecycleState): boolean => state === 'failed' || state === 'idle';

/** What a host may ask of process lives; each call resolves when what was asked for is done, or cannot be. */
export class LifeControl {
  readonly #life: LifeRuntime;
  readonly #keepAlive: KeepAlive;

  constructor(life: LifeRuntime, keepAlive: KeepAlive) {
    this.#life = life;
    this.#keepAlive = keepAlive;
  }

  async restart(reason: string): Promise<void> {
    if (this.#life.abandoned) return;
    const rested = this.nextRest();
    this.#life.send({ type: 'life.restart', reason });
    await rested;
  }

  /** A new life as soon as no turn runs. Resolves with the wait for it, which is over when it rests. */
  async renew(): Promise<{ readonly rested: Promise<void> }> {
    const life = this.#life;
    if (life.abandoned || life.state === 'idle' || life.state === 'stopping') return { rested: Promise.resolve() };
    life.isDraining = life.isAvailable;
    const { generation } = life;
    const rested = this.#until(({ to }) => isDown(to) || (to === 'healthy' && life.generation > generation));
    life.send({ type: 'life.reload' });
    await commandsDone();
    return { rested };
  }

  /** What waits for its turn would start it again: it is given up, and what runs fails when the process is gone. */
  async stop(): Promise<void> {
    this.#life.abandonQueued();
    this.#life.send({ type: 'life.stop' });
    await commandsDone();
    if (this.#life.state === 'stopping') await this.#until(({ from, to }) => from === 'stopping' && to !== from);
  }

  async checkNow(): Promise<void> {
    if (!this.#life.isAvailable) return;
    const checked = this.#life.nextCheck();
    this.#life.send({ type: 'life.checkNow' });
    await checked;
  }

  /** The next state in which it rests: up, down, or given up. */
  nextRest(): Promise<void> {
    return this.#until(({ to }) => to === 'healthy' || isDown(to));
  }

  #until(matches: (change: StateChange) => boolean): Promise<void> {
    const letGo = this.#keepAlive.hold();
    return new Promise((resolve) => {
      const stop = this.#life.onChange((change) => {
        if (!matches(change)) return;
        stop();
        letGo();
        resolve();
      });
    });
  }
}
