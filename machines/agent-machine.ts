import { agentBoot } from './agent-boot.ts';
import { beforeLife, setupLife } from './life-setup.ts';
import { evicting, failed, health, idle, recovering, starting, stopping, unhealthy } from './life-states.ts';
import {
  demand,
  draining,
  whenCheckFails,
  whenEvicted,
  whenReloaded,
  whenReloadedUnhealthy,
  whenUp,
} from './life-transitions.ts';

/** One warm agent and its process lives. */
export const agentMachine = setupLife.createMachine({
  id: 'agent',
  context: beforeLife,
  entry: 'announce',
  initial: 'idle',
  on: { 'life.demandChanged': { actions: { type: 'noteDemand', params: demand } } },
  states: {
    idle: idle([]),
    starting: starting(agentBoot, 'launching'),
    healthy: {
      id: 'healthy',
      description: 'Proved to work; turns are admitted.',
      tags: 'available',
      entry: [
        { type: 'reportStep', params: { outcome: 'healthy' } },
        'clearStep',
        { type: 'reportState', params: { state: 'healthy' } },
      ],
      invoke: health,
      initial: 'deciding',
      states: {
        deciding: {
          always: [
            { target: 'draining', guard: 'isRenewalWanted' },
            { target: 'busy', guard: 'isBusy' },
            { target: 'available' },
          ],
        },
        available: {
          description: 'Waits for a prompt.',
          on: {
            'life.demandChanged': [
              {
                target: 'busy',
                guard: { type: 'hasTurns', params: demand },
                actions: { type: 'noteDemand', params: demand },
              },
              { actions: { type: 'noteDemand', params: demand } },
            ],
          },
        },
        busy: {
          description: 'Works on a prompt.',
          on: {
            'life.demandChanged': [
              {
                guard: { type: 'hasTurns', params: demand },
                actions: { type: 'noteDemand', params: demand },
              },
              { target: 'available', actions: { type: 'noteDemand', params: demand } },
            ],
          },
        },
        draining: draining({}),
      },
      on: { ...whenCheckFails('#recovering'), ...whenReloaded, ...whenUp, ...whenEvicted },
      after: { resetAfter: { actions: ['resetBackoff', 'forgetLadder'] } },
    },
    unhealthy: unhealthy('#recovering', { ...whenUp, ...whenReloadedUnhealthy, ...whenEvicted }),
    recovering: recovering({ rest: [], boot: agentBoot, initial: 'launching', ladder: {}, verdicts: [] }),
    failed: failed([]),
    stopping: stopping([], { evicting }),
  },
});
