import type { AgentDriver, AgentLife, AgentLifeObserver, Clock, DriverEnvironment } from '../../actors/ports.ts';
import type { SessionCapabilities } from '../../actors/ports.ts';
import { hasCapability } from './capabilities.ts';
import { type JsonFields, record } from '../json.ts';
import { AcpLife } from './agent-life.ts';
import type { AcpLaunch } from './options.ts';

/** One kind of agent that speaks the Agent Client Protocol. */
export class AcpDriver implements AgentDriver {
  readonly #launch: AcpLaunch;
  readonly #clock: Clock;
  #capabilities: JsonFields = {};

  constructor(launch: AcpLaunch, { clock }: DriverEnvironment) {
    this.#launch = launch;
    this.#clock = clock;
  }

  /** What the agent said last that it can do. */
  get capabilities(): SessionCapabilities {
    const prompt = record(this.#capabilities['promptCapabilities']);
    return {
      resume: this.#capabilities['loadSession'] === true || hasCapability(this.#capabilities, 'resume'),
      fork: false,
      listSessions: false,
      setModel: false,
      setMode: true,
      images: prompt['image'] === true,
      files: true,
      mcpServers: true,
      questions: false,
      deleteSession: false,
    };
  }

  launch(directory: string, _: number, observer: AgentLifeObserver): AgentLife {
    const onCapabilities = (capabilities: JsonFields) => void (this.#capabilities = capabilities);
    return new AcpLife(this.#launch, directory, this.#clock, observer, onCapabilities);
  }
}
