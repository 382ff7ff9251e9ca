import { createActor, fromCallback } from 'xstate';
import { describe, expect, it } from 'vitest';
import { resolveAcp } from '../../adapters/acp/options.ts';
import { agentMachine } from '../../machines/index.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const idle = fromCallback(() => undefined) as never;
const at = 0;

function healthyAgent() {
  const { life } = resolveAcp({ command: 'agent' }).settings;
  const machine = agentMachine.provide({
    actors: { process: idle, handshake: idle, openSessions: idle, health: idle, backoff: idle },
  });
  const actor = createActor(machine, {
    clock: new VirtualClock(),
    input: { backendId: 'agent', agentId: 'agent-0', ...life },
  });
  actor.start();
  actor.send({ type: 'life.start' });
  actor.send({ type: 'process.spawned', at, pid: 1 });
  actor.send({ type: 'handshake.done', at, version: null });
  actor.send({ type: 'sessions.opened', at });
  const evicted = () => {
    actor.send({ type: 'life.evict', reason: 'its place is wanted' });
    return actor.getSnapshot().value;
  };
  return { actor, evicted };
}

describe('the chart of an agent that is asked to make room', () => {
  it.each([
    ['works', { turns: 1, waiters: 0 }, { healthy: 'busy' }],
    ['is waited for', { turns: 0, waiters: 1 }, { healthy: 'available' }],
  ])('stays while it %s, whoever thinks otherwise', (_, demand, state) => {
    const { actor, evicted } = healthyAgent();
    actor.send({ type: 'life.demandChanged', ...demand });
    expect(evicted()).toEqual(state);
    actor.send({ type: 'life.demandChanged', turns: 0, waiters: 0 });
    expect(evicted()).toEqual({ stopping: 'evicting' });
  });

  it('stays where it does while some of its checks fail, too', () => {
    const { actor, evicted } = healthyAgent();
    actor.send({ type: 'life.demandChanged', turns: 1, waiters: 0 });
    actor.send({ type: 'health.failed', at, reason: 'slow' });
    expect(evicted()).toEqual({ unhealthy: 'graced' });
    actor.send({ type: 'life.demandChanged', turns: 0, waiters: 0 });
    expect(evicted()).toEqual({ stopping: 'evicting' });
  });
});
