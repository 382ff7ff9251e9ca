import type { OperationKind } from '../../machines/policies/operation-queue.ts';
import { awaitHealthy } from '../backend/await-healthy.ts';
import { LifeControl } from '../backend/life-control.ts';
import { OperationQueue } from '../backend/operation-queue.ts';
import { withLimit } from '../clock-loop.ts';
import type { BackendStatus } from '../contract/status.ts';
import type { BackendHandle, BackendSession } from '../contract/supervisor.ts';
import { SupervisorError } from '../errors.ts';
import type { Reload } from '../ports.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import { expectAbsolutePath, expectObject, expectSignal, expectString, optional } from '../validation.ts';
import { Acquisition } from './acquisition.ts';
import { LeaseDesk } from './lease-desk.ts';
import type { ServerBackend } from './server-backend.ts';
import { serverStatus } from './server-status.ts';

/** Limit for taking over a configuration, in milliseconds. */
const RELOAD_LIMIT_MS = 30_000;

/** What the host holds of a backend. */
export class ServerHandle implements BackendHandle {
  readonly #runtime: SupervisorRuntime;
  readonly #backend: ServerBackend;
  readonly #control: LifeControl;
  readonly #operations = new OperationQueue<BackendStatus>();
  readonly #leases: LeaseDesk;
  readonly #acquisition: Acquisition;
  /** A new life that was asked for, and waits for the turns that run. */
  #renewal: Promise<void> | undefined;
  /** A configuration was given that no life has been started with. */
  #isConfigNew = false;
  /** The last configuration that was given. */
  #configured: string | undefined;

  constructor(runtime: SupervisorRuntime, backend: ServerBackend) {
    this.#runtime = runtime;
    this.#backend = backend;
    this.#control = new LifeControl(backend, runtime.keepAlive);
    this.#leases = new LeaseDesk(backend);
    this.#acquisition = new Acquisition(runtime, backend, this.#control);
  }

  start(): Promise<BackendStatus> {
    return this.#operate('start', async () => {
      if (this.#isRunning) await this.#healthy().catch(() => undefined); // A failed start is a status.
    });
  }

  async acquire(options: { signal?: AbortSignal } = {}): Promise<unknown> {
    const { signal } = expectObject('acquire()', options, ['signal']);
    optional(signal, (value) => expectSignal('signal', value));
    this.#expectRunning();
    await this.#acquisition.alive(options.signal).finally(this.#runtime.keepAlive.hold());
    if (this.#backend.isAvailable) return this.#leases.lend();
    const { id } = this.#backend;
    throw new SupervisorError('ERR_BACKEND_EXITED', `The backend ${id} ended when its lease was asked for.`, {
      backend: id,
    });
  }

  async restart(reason = 'the host asked'): Promise<BackendStatus> {
    expectString('reason', reason);
    return this.#operate('restart', async () => {
      if (this.#isRunning) await this.#control.restart(reason);
    });
  }

  async reload(config?: unknown): Promise<BackendStatus> {
    const letGo = this.#runtime.keepAlive.hold();
    try {
      const configId = this.#configure(config);
      await this.#operate('reload', () => this.#reload());
      await this.#renewal;
      this.#expectTaken(configId);
    } finally {
      letGo();
    }
    return this.status();
  }

  stop(): Promise<BackendStatus> {
    return this.#operate('stop', () => this.#control.stop());
  }

  checkNow(): Promise<BackendStatus> {
    return this.#operate('checkNow', () => this.#control.checkNow());
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

  contextLimit(providerId: string, modelId: string): number | undefined {
    const model = expectString('modelId', modelId);
    return this.#backend.driver.contextLimit(expectString('providerId', providerId), model);
  }

  spawnedSessions(): ReadonlySet<string> {
    return this.#backend.driver.spawnedSessions();
  }

  /** Ends with the status that it ended in, before anything else begins. */
  #operate(kind: OperationKind, work: () => Promise<void>): Promise<BackendStatus> {
    return this.#operations.request(kind, async () => {
      await work();
      return this.status();
    });
  }

  get #isRunning(): boolean {
    return this.#runtime.state === 'running';
  }

  /** What is given counts from the next life on, whatever becomes of this call. */
  #configure(config: unknown): string | undefined {
    if (config === undefined || !this.#isRunning) return undefined;
    const { configId, isNew } = this.#backend.driver.configure(config);
    this.#isConfigNew = isNew;
    this.#configured = configId;
    return configId;
  }

  /** Works with another one: the ladder went back, since this one did not work. */
  #expectTaken(configId: string | undefined): void {
    const { state, id, actor } = this.#backend;
    if (configId === undefined || configId !== this.#configured || state !== 'healthy') return;
    if (actor?.getSnapshot().context.configId === configId) return;
    const message = `The backend ${id} does not work with that configuration; it goes on with the one that it had before.`;
    throw new SupervisorError('ERR_CONFIG_INVALID', message, { backend: id });
  }

  /** What takes effect at once is told to the chart; the rest waits for the turns that run, and holds up nothing else. */
  async #reload(): Promise<void> {
    if (!this.#isRunning) return;
    const outcome: Reload = this.#isConfigNew ? { kind: 'renewal' } : await this.#reread();
    this.#isConfigNew = false;
    if (outcome.kind === 'applied') {
      this.#backend.send({ type: 'life.reconfigured', configId: outcome.configId });
      return;
    }
    const { rested } = await this.#control.renew();
    this.#renewal = rested;
    if (!this.#backend.isDraining) await rested;
  }

  /** Where the server ends meanwhile, the next life reads what there is to read. */
  async #reread(): Promise<Reload> {
    const { clock } = this.#runtime;
    const { driver, lifeEnded } = this.#backend;
    try {
      return await withLimit(clock, RELOAD_LIMIT_MS, lifeEnded, (signal) => driver.reload(signal));
    } catch (error) {
      if (lifeEnded.aborted) return { kind: 'renewal' };
      throw error;
    }
  }

  #healthy(signal?: AbortSignal): Promise<void> {
    const { clock, options, keepAlive } = this.#runtime;
    const work = awaitHealthy(this.#backend, { clock, timeoutMs: options.openTimeoutMs, signal });
    return work.finally(keepAlive.hold());
  }

  #expectRunning(): void {
    if (this.#isRunning) return;
    throw new SupervisorError('ERR_STOPPED', 'The supervisor is stopping or stopped.', { backend: this.#backend.id });
  }
}
