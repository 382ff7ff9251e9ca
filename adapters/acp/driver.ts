import type { AgentDriver, AgentLife, AgentLifeObserver, Clock, DriverEnvironment } from '../../actors/ports.ts';
import { AcpLife } from './agent-life.ts';
import type { AcpLaunch } from './options.ts';

/** One kind of agent that speaks the Agent Client Protocol. */
export class AcpDriver implements AgentDriver {
  readonly #launch: AcpLaunch;
  readonly #clock: Clock;

  constructor(launch: AcpLaunch, { clock }: DriverEnvironment) {
    this.#launch = launch;
    this.#clock = clock;
  }

  launch(directory: string, _: number, observer: AgentLifeObserver): AgentLife {
    return new AcpLife(this.#launch, directory, this.#clock, observer);
  }
}
