import type { OperationKind } from '../../machines/policies/operation-queue.ts';
import { LifeControl } from '../backend/life-control.ts';
import { OperationQueue } from '../backend/operation-queue.ts';
import type { BackendStatus } from '../contract/status.ts';
import type { BackendHandle, BackendSession } from '../contract/supervisor.ts';
import { SupervisorError } from '../errors.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import { expectAbsolutePath, expectObject, expectString } from '../validation.ts';
import type { AgentBackend } from './agent-backend.ts';
import type { AgentRuntime } from './agent-runtime.ts';

/** What the host holds of a pool: each call is one to every agent that there is. */
export class PoolHandle implements BackendHandle<never> {
  readonly #runtime: SupervisorRuntime;
  readonly #backend: AgentBackend;
  readonly #operations = new OperationQueue<BackendStatus>();
  /** New processes that were asked for, and wait for the turns that run. */
  #renewal: Promise<unknown> | undefined;

  constructor(runtime: SupervisorRuntime, backend: AgentBackend) {
    this.#runtime = runtime;
    this.#backend = backend;
  }

  /**
   * Starts the agents of the open sessions that are down, as far as there are places: nobody makes room for them. Without
   * a session there is nothing to start.
   */
  async start(): Promise<BackendStatus> {
    return this.#operate('start', async () => {
      const { options, state } = this.#runtime;
      if (state !== 'running') return;
      const { agents, pool } = this.#backend;
      const isKnown = ({ place }: AgentRuntime) => Number(place !== undefined); // They ran last.
      const resting = agents.filter(({ isAtRest }) => isAtRest).toSorted((a, b) => isKnown(b) - isKnown(a));
      const meant = [...agents.filter(({ isAtRest }) => !isAtRest), ...resting.slice(0, pool.room)];
      await this.#backend.warm(meant, options.openTimeoutMs); // A failed start is a status.
    });
  }

  async restart(reason = 'the host asked'): Promise<BackendStatus> {
    expectString('reason', reason);
    return this.#operate('restart', async () => {
      if (this.#runtime.state === 'running') await this.#eachWarm((control) => control.restart(reason));
    });
  }

  /** Agents read what they are configured with when they start: each gets a new process when its turn is over. */
  async reload(config?: unknown): Promise<BackendStatus> {
    if (config !== undefined)
      throw this.#unsupported('takes no configuration: change that of the agent itself, and call reload() without one');
    await this.#operate('reload', async () => {
      if (this.#runtime.state !== 'running') return;
      const renewals: Promise<void>[] = [];
      await this.#eachWarm(async (control) => void renewals.push((await control.renew()).rested));
      this.#renewal = Promise.all(renewals);
    });
    await this.#renewal;
    return this.status();
  }

  stop(): Promise<BackendStatus> {
    const failure = { code: 'ERR_STOPPED', message: `The backend ${this.#backend.id} was stopped.` };
    return this.#operate('stop', () => {
      for (const agent of this.#backend.agents) this.#backend.pool.refuse(agent, failure);
      return this.#all((control) => control.stop());
    });
  }

  checkNow(): Promise<BackendStatus> {
    return this.#operate('checkNow', () => this.#all((control) => control.checkNow()));
  }

  status(): BackendStatus {
    return this.#backend.status();
  }

  acquire(): Promise<never> {
    return Promise.reject(this.#unsupported('has no lease: its agents are reached through sessions'));
  }

  async listSessions(request: { directory: string }): Promise<BackendSession[]> {
    const given = expectObject('listSessions()', request, ['directory']);
    const directory = expectAbsolutePath('directory', given['directory']);
    const { state, options, keepAlive } = this.#runtime;
    if (state !== 'running') throw new SupervisorError('ERR_STOPPED', 'The supervisor is stopping or stopped.');
    const { openTimeoutMs: limitMs } = options;
    return this.#backend.listSessions(directory, { startMs: limitMs, requestMs: limitMs }).finally(keepAlive.hold());
  }

  contextLimit(): undefined {
    return undefined;
  }

  spawnedSessions(): ReadonlySet<string> {
    return new Set();
  }

  /** Ends with the status that it ended in, before anything else begins. */
  #operate(kind: OperationKind, work: () => Promise<void>): Promise<BackendStatus> {
    const letGo = this.#runtime.keepAlive.hold();
    const operation = this.#operations.request(kind, async () => {
      await work();
      return this.status();
    });
    return operation.finally(letGo);
  }

  /** Those that made room have nothing to restart: their next life is a new one. */
  async #eachWarm(work: (control: LifeControl) => Promise<void>): Promise<void> {
    const { keepAlive, options } = this.#runtime;
    const { agents, pool } = this.#backend;
    const warm = agents.filter(({ place }) => place !== undefined);
    const working = warm.map(async (agent) => {
      const letGo = await pool.admit(agent, { timeoutMs: options.openTimeoutMs });
      await work(new LifeControl(agent, keepAlive)).finally(letGo);
    });
    await Promise.allSettled(working); // Who finds no place stays as it is.
  }

  async #all(work: (control: LifeControl) => Promise<void>): Promise<void> {
    const { keepAlive } = this.#runtime;
    await Promise.all(this.#backend.agents.map((agent: AgentRuntime) => work(new LifeControl(agent, keepAlive))));
  }

  #unsupported(what: string): SupervisorError {
    const { id } = this.#backend;
    return new SupervisorError('ERR_UNSUPPORTED', `The backend ${id} ${what}.`, { backend: id });
  }
}
