import { NO_LIFE } from './policies/process-life.ts';
import { agentBoot } from './agent-boot.ts';
import { setupLife } from './life-setup.ts';
import {
  demand,
  failed,
  health,
  idle,
  recovering,
  starting,
  stopping,
  unhealthy,
  whenCheckFails,
  whenUp,
} from './life-states.ts';

/** One warm agent and its process lives. */
export const agentMachine = setupLife.createMachine({
  id: 'agent',
  context: ({ input }) => ({
    ...input,
    ...NO_LIFE,
    port: null,
    streamGroups: [],
  }),
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
      entry: { type: 'reportState', params: { state: 'healthy' } },
      invoke: health,
      initial: 'deciding',
      states: {
        deciding: { always: [{ target: 'busy', guard: 'isBusy' }, { target: 'available' }] },
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
      },
      on: { ...whenCheckFails, ...whenUp },
      after: { resetAfter: { actions: 'resetBackoff' } },
    },
    unhealthy,
    recovering: recovering([], agentBoot, 'launching'),
    failed,
    stopping: stopping([]),
  },
});
