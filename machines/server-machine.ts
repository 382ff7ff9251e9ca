import { ladder, ladderVerdicts } from './ladder-states.ts';
import { beforeLife, setupLife, subject } from './life-setup.ts';
import { failed, health, idle, recovering, starting, stopping, unhealthy } from './life-states.ts';
import { draining, whenCheckFails, whenReloaded, whenReloadedUnhealthy, whenUp } from './life-transitions.ts';
import { serverBoot } from './server-boot.ts';
import { rest, streams, whenHealthy } from './server-states.ts';

const reconfigured = {
  type: 'noteConfig',
  params: ({ event }: { event: { configId: string | null } }) => ({ configId: event.configId }),
} as const;

/** A server of ours, and its process lives. */
export const serverMachine = setupLife.createMachine({
  id: 'server',
  context: beforeLife,
  entry: 'announce',
  initial: 'idle',
  on: streams,
  states: {
    idle: idle(rest),
    starting: starting(serverBoot, 'preparing'),
    healthy: {
      id: 'healthy',
      description: 'Proved to work; turns are admitted.',
      tags: 'available',
      entry: whenHealthy,
      invoke: [health, { src: 'modelLimits', id: 'modelLimits', input: subject }],
      initial: 'deciding',
      states: {
        deciding: {
          always: [{ target: 'draining', guard: 'isRenewalWanted' }, { target: 'proving' }],
        },
        proving: {
          description: 'Its configuration has not worked for long yet.',
          after: { provenAfter: { target: 'proven' } },
        },
        proven: {
          description: 'Its configuration is one to go back to.',
          entry: 'reportProven',
        },
        draining: draining({ 'life.reconfigured': { actions: reconfigured } }),
      },
      on: {
        'life.reconfigured': { target: '.proving', actions: reconfigured },
        ...whenCheckFails('#recovering'),
        ...whenReloaded,
        ...whenUp,
      },
      after: { resetAfter: { actions: ['resetBackoff', 'forgetLadder'] } },
    },
    unhealthy: unhealthy('#recovering', { ...whenUp, ...whenReloadedUnhealthy }),
    recovering: recovering({ rest, boot: serverBoot, initial: 'preparing', ladder, verdicts: ladderVerdicts }),
    failed: failed(rest),
    stopping: stopping(rest),
  },
});
