import type { AgentPlace } from '../../machines/pool-machine.ts';

/** Agents in one group of actors. */
const AGENTS_PER_GROUP = 60;

/** The places of actors, numbered so that those that are free are used again: the library of charts never forgets a name. */
export class AgentPlaces<T> {
  readonly #taken = new Map<string, T>();

  at(agentId: string): T | undefined {
    return this.#taken.get(agentId);
  }

  take(agent: T): AgentPlace {
    let slot = 0;
    while (this.#taken.has(`agent-${slot}`)) slot += 1;
    const agentId = `agent-${slot}`;
    this.#taken.set(agentId, agent);
    return { groupId: `agents-${Math.floor(slot / AGENTS_PER_GROUP)}`, agentId };
  }

  leave({ agentId }: AgentPlace): void {
    this.#taken.delete(agentId);
  }
}
