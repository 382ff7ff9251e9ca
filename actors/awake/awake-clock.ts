import type { Clock } from '../contract/supervisor.ts';

/** While anything waits, it is looked this often whether time went on without this process, in milliseconds. */
const TICK_MS = 5_000;
/** Nothing ran for longer than this, or the wall clock stepped so far: the host slept; in milliseconds. */
const GAP_MS = 10_000;

export interface SleepObserver {
  /** The host slept, and runs again. Called once for what comes within one tick, and never from within a caller of the clock. */
  woke(sleptMs: number): void;
  /** The wall clock was set back. Nothing slept. */
  setBack(byMs: number): void;
}

interface Timer {
  /** On this clock, in milliseconds. */
  readonly due: number;
  readonly callback: () => void;
  /** What had been slept when it was set; where that is still so, the timer is right. */
  sleptMs: number;
  handle: unknown;
}

/**
 * A clock that stands still while the host sleeps or is frozen. Who counts on it for a limit needs to know nothing of that:
 * a timer that fires early by this clock waits for the rest. It looks after itself only while a timer is set.
 */
export class AwakeClock implements Clock {
  readonly #clock: Clock;
  readonly #observer: SleepObserver;
  readonly #timers = new Set<Timer>();
  #tick: unknown;
  /** When this process was last seen running, on the given clock. */
  #seenAt = 0;
  #sleptMs = 0;
  /** A moment on both clocks: the wall clock must have advanced like the other since. */
  #sync = { now: 0, wall: 0 };
  #untoldMs = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, observer: SleepObserver) {
    this.#clock = clock;
    this.#observer = observer;
  }

  now(): number {
    const now = this.#look();
    return now - this.#sleptMs;
  }

  wallNow(): number {
    return this.#clock.wallNow();
  }

  setTimeout(callback: () => void, delayMs: number): unknown {
    const due = this.now() + delayMs;
    const timer: Timer = { due, callback, sleptMs: this.#sleptMs, handle: undefined };
    this.#timers.add(timer);
    this.#arm(timer, delayMs);
    this.#watch();
    return timer;
  }

  clearTimeout(handle: unknown): void {
    const timer = handle as Timer;
    if (!this.#timers.delete(timer)) return;
    this.#clock.clearTimeout(timer.handle);
    this.#rest();
  }

  #arm(timer: Timer, delayMs: number): void {
    timer.sleptMs = this.#sleptMs;
    timer.handle = this.#clock.setTimeout(() => this.#fire(timer), delayMs);
  }

  /** Behind a sleep it waits for what is left, or lets those go first who are told of it. */
  #fire(timer: Timer): void {
    const leftMs = timer.due - this.now();
    if (this.#hasWallStepped() || this.#sleptMs > timer.sleptMs)
      return this.#arm(timer, Math.max(0, Math.ceil(leftMs)));
    this.#timers.delete(timer);
    try {
      timer.callback();
    } finally {
      this.#rest();
    }
  }

  #watch(): void {
    if (this.#tick !== undefined) return;
    this.#synchronize();
    this.#tick = this.#clock.setTimeout(() => this.#ticked(), TICK_MS);
  }

  #rest(): void {
    if (this.#timers.size > 0) return;
    this.#clock.clearTimeout(this.#tick);
    this.#tick = undefined;
  }

  #ticked(): void {
    this.#look();
    const aheadMs = this.#wallAheadMs();
    if (aheadMs < -GAP_MS) this.#observer.setBack(Math.round(-aheadMs));
    if (!this.#hasWallStepped() && this.#untoldMs > 0) this.#tellSoon();
    this.#synchronize();
    this.#tick = this.#clock.setTimeout(() => this.#ticked(), TICK_MS);
  }

  /** Whoever asks for the time shows that the process runs. The tick would have fired if it had run before. */
  #look(): number {
    const now = this.#clock.now();
    const gapMs = now - this.#seenAt;
    this.#seenAt = now;
    if (this.#tick !== undefined && gapMs > GAP_MS) {
      this.#sleptMs += gapMs;
      this.#woke(gapMs);
    }
    return now;
  }

  /** It went on without the other one: that stands still while the host sleeps. */
  #hasWallStepped(): boolean {
    const aheadMs = this.#wallAheadMs();
    if (aheadMs > GAP_MS) this.#woke(aheadMs);
    return aheadMs > GAP_MS;
  }

  #wallAheadMs(): number {
    return this.#clock.wallNow() - this.#sync.wall - (this.#clock.now() - this.#sync.now);
  }

  #synchronize(): void {
    this.#sync = { now: this.#clock.now(), wall: this.#clock.wallNow() };
  }

  #woke(sleptMs: number): void {
    this.#synchronize();
    this.#untoldMs += sleptMs;
    if (this.#seenAt - this.#toldAt >= TICK_MS) this.#tellSoon();
  }

  #tellSoon(): void {
    this.#toldAt = this.#seenAt;
    queueMicrotask(() => {
      const sleptMs = Math.round(this.#untoldMs);
      this.#untoldMs = 0;
      if (sleptMs > 0) this.#observer.woke(sleptMs);
    });
  }
}
