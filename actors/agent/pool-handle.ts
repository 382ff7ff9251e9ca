import { LifeControl } from '../backend/life-control.ts';
import { awaitHealthy } from '../backend/await-healthy.ts';
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

  constructor(runtime: SupervisorRuntime, backend: AgentBackend) {
    this.#runtime = runtime;
    this.#backend = backend;
  }

  /** Starts the agents of the open sessions that are down. Without a session there is nothing to start. */
  async start(): Promise<BackendStatus> {
    const { clock, options, keepAlive, state } = this.#runtime;
    if (state !== 'running') return this.status();
    const letGo = keepAlive.hold();
    const starting = this.#backend.agents.map((agent) =>
      awaitHealthy(agent, { clock, timeoutMs: options.openTimeoutMs }),
    );
    await Promise.allSettled(starting); // A failed start is a status.
    letGo();
    return this.status();
  }

  async restart(reason = 'the host asked'): Promise<BackendStatus> {
    expectString('reason', reason);
    if (this.#runtime.state === 'running') await this.#all((control) => control.restart(reason));
    return this.status();
  }

  async stop(): Promise<BackendStatus> {
    await this.#all((control) => control.stop());
    return this.status();
  }

  async checkNow(): Promise<BackendStatus> {
    await this.#all((control) => control.checkNow());
    return this.status();
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

  spawnedSessions(): ReadonlySet<string> {
    return new Set();
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
