import type { AgentDriver, AgentLife, AgentLifeObserver, DriverEnvironment } from '../../actors/ports.ts';
import { AcpLife } from './agent-life.ts';
import type { AcpLaunch } from './options.ts';

/** One kind of agent that speaks the Agent Client Protocol. */
export class AcpDriver implements AgentDriver {
  readonly #launch: AcpLaunch;
  readonly #environment: DriverEnvironment;

  constructor(launch: AcpLaunch, environment: DriverEnvironment) {
    this.#launch = launch;
    this.#environment = environment;
  }

  launch(directory: string, _: number, observer: AgentLifeObserver): AgentLife {
    return new AcpLife(this.#launch, directory, this.#environment, observer);
  }
}
