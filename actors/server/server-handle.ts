import type { BackendStatus } from '../contract/status.ts';
import type { BackendHandle, BackendSession } from '../contract/supervisor.ts';
import { SupervisorError } from '../errors.ts';
import { withLimit } from '../clock-loop.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import { expectAbsolutePath, expectObject, expectSignal, expectString, optional } from '../validation.ts';
import { abortError, awaitHealthy } from '../backend/await-healthy.ts';
import { serverStatus } from './server-status.ts';
import { LifeControl } from '../backend/life-control.ts';
import type { ServerBackend } from './server-backend.ts';

/** What the host holds of a backend. */
export class ServerHandle implements BackendHandle {
  readonly #runtime: SupervisorRuntime;
  readonly #backend: ServerBackend;
  readonly #control: LifeControl;
  #lease: { readonly ended: AbortSignal; readonly value: unknown } | undefined;

  constructor(runtime: SupervisorRuntime, backend: ServerBackend) {
    this.#runtime = runtime;
    this.#backend = backend;
    this.#control = new LifeControl(backend, runtime.keepAlive);
  }

  async start(): Promise<BackendStatus> {
    if (this.#runtime.state === 'running') await this.#healthy().catch(() => undefined); // A failed start is a status.
    return this.status();
  }

  async acquire(options: { signal?: AbortSignal } = {}): Promise<unknown> {
    const { signal } = expectObject('acquire()', options, ['signal']);
    optional(signal, (value) => expectSignal('signal', value));
    this.#expectRunning();
    await this.#healthy(options.signal);
    await this.#expectAlive(options.signal);
    return this.#leaseOfCurrentLife();
  }

  async restart(reason = 'the host asked'): Promise<BackendStatus> {
    expectString('reason', reason);
    if (this.#runtime.state !== 'running') return this.status();
    await this.#control.restart(reason);
    return this.status();
  }

  async stop(): Promise<BackendStatus> {
    await this.#control.stop();
    return this.status();
  }

  async checkNow(): Promise<BackendStatus> {
    await this.#control.checkNow();
    return this.status();
  }

  status(): BackendStatus {
    return serverStatus(this.#backend);
  }

  async listSessions(request: { directory: string }): Promise<BackendSession[]> {
    const given = expectObject('listSessions()', request, ['directory']);
    const directory = expectAbsolutePath('directory', given['directory']);
    this.#expectRunning();
    await this.#healthy();
    const { clock, options } = this.#runtime;
    const work = (signal: AbortSignal) => this.#backend.driver.listSessions(directory, signal);
    return withLimit(clock, options.openTimeoutMs, this.#backend.lifeEnded, work);
  }

  spawnedSessions(): ReadonlySet<string> {
    return this.#backend.driver.spawnedSessions();
  }

  #healthy(signal?: AbortSignal): Promise<void> {
    const { clock, options, keepAlive } = this.#runtime;
    const work = awaitHealthy(this.#backend, { clock, timeoutMs: options.openTimeoutMs, signal });
    return work.finally(keepAlive.hold());
  }

  #expectRunning(): void {
    if (this.#runtime.state === 'running') return;
    throw new SupervisorError('ERR_STOPPED', 'The supervisor is stopping or stopped.', { backend: this.#backend.id });
  }

  /** A server that does not answer is replaced, unless it shows life, works for somebody, or nobody waits any more. */
  async #expectAlive(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const { clock, options } = this.#runtime;
    const { timeoutMs } = this.#backend.definition.settings.server.health;
    const askedAt = clock.now();
    const life = this.#backend.lifeEnded;
    try {
      await withLimit(clock, timeoutMs, signal, (limited) => this.#backend.driver.probe(limited));
    } catch (cause) {
      if (signal.aborted) throw abortError(signal);
      if (this.#backend.driver.lastSeenAt() > askedAt) return;
      const details = { backend: this.#backend.id, cause };
      const silent = new SupervisorError(
        'ERR_BACKEND_EXITED',
        `The backend ${this.#backend.id} does not answer.`,
        details,
      );
      if (life.aborted) return this.#healthy(signal);
      if (this.#backend.turns > 0) throw silent;
      await withLimit(clock, options.openTimeoutMs, signal, (limited) => this.#replace(limited));
      if (!this.#backend.isAvailable) throw silent;
    }
  }

  async #replace(signal: AbortSignal): Promise<void> {
    const rested = this.#control.nextRest();
    this.#backend.send({ type: 'life.restart', reason: 'a lease was asked for and the server did not answer' });
    await Promise.race([
      rested,
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    ]);
  }

  /** One lease object for each process life. */
  #leaseOfCurrentLife(): unknown {
    const ended = this.#backend.lifeEnded;
    if (this.#lease?.ended !== ended) {
      const generation = this.#backend.actor?.getSnapshot().context.generation ?? 0;
      this.#lease = { ended, value: this.#backend.driver.lease({ generation, ended, release: () => undefined }) };
    }
    return this.#lease.value;
  }
}
