import type { Failure } from '../../machines/policies/failure-class.ts';
import type { Carrier } from '../carrier.ts';
import { withLimit } from '../clock-loop.ts';
import type { LifecycleState } from '../contract/status.ts';
import { messageOf } from '../errors.ts';
import type { DriverSession } from '../ports.ts';
import type { StreamRuntime } from '../stream/stream-runtime.ts';
import type { ServerBackend } from './server-backend.ts';
import { detailOf } from '../backend/life-status.ts';

/** Limit of one request that ends a session's work, in milliseconds. */
const RETIRE_LIMIT_MS = 5_000;

/** A server, and the stream that brings a session's events. */
export class ServerCarrier implements Carrier {
  readonly stream: StreamRuntime;
  readonly #backend: ServerBackend;

  constructor(backend: ServerBackend, stream: StreamRuntime) {
    this.#backend = backend;
    this.stream = stream;
  }

  get state(): LifecycleState {
    return this.stream.state;
  }

  get detail(): string {
    return detailOf(this.stream.actor?.getSnapshot().value ?? 'idle');
  }

  get generation(): number {
    return this.#backend.generation;
  }

  get isDraining(): boolean {
    return this.#backend.isDraining;
  }

  get isAvailable(): boolean {
    return this.#backend.isAvailable;
  }

  get isOpen(): boolean {
    return this.isAvailable && this.stream.isOpen;
  }

  get gone(): Failure | undefined {
    const { gone, definition, state, down } = this.#backend;
    return definition.mode === 'external' && state === 'failed' ? down : gone;
  }

  get down(): Failure | undefined {
    return this.#backend.down;
  }

  get deaf(): Failure | undefined {
    if (this.stream.state !== 'failed') return undefined;
    return { code: 'ERR_STREAM_FAILED', message: 'The event stream was given up.' };
  }

  wake(): void {
    const { state } = this.#backend;
    if (state === 'idle' || state === 'failed' || state === 'stopping') this.#backend.send({ type: 'life.start' });
    if (this.isAvailable && !this.stream.isOpen) this.stream.start();
  }

  audit(): void {
    if (this.stream.state === 'failed') this.stream.start();
    else this.stream.audit();
  }

  changeDemand(change: { readonly turns?: number; readonly waiters?: number }): void {
    this.#backend.changeDemand(change);
  }

  retire(session: DriverSession): void {
    const { driver, clock, logger, id } = this.#backend;
    if (!this.isAvailable) return;
    const ignore = new AbortController().signal;
    withLimit(clock, RETIRE_LIMIT_MS, ignore, (signal) => driver.retire(session, signal)).catch((error: unknown) => {
      logger.warn({ err: error, backend: id }, 'The session could not be retired; the backend is restarted.');
      this.#backend.send({ type: 'life.restart', reason: `a cancel was ignored, and ${messageOf(error)}` });
    });
  }
}
