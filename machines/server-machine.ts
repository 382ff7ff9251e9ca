import { NO_LIFE } from './policies/process-life.ts';
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
import { serverBoot } from './server-boot.ts';

/** No server, no events. */
const rest = [{ type: 'tellStreams', params: { message: { type: 'stream.halt' } } }] as const;

/** One server and its process lives. */
export const serverMachine = setupLife.createMachine({
  id: 'server',
  context: ({ input }) => ({
    ...input,
    ...NO_LIFE,
    port: null,
    streamGroups: [],
  }),
  entry: 'announce',
  initial: 'idle',
  on: {
    'life.demandChanged': { actions: { type: 'noteDemand', params: demand } },
    'server.openStream': {
      actions: {
        type: 'openStream',
        params: ({ event }) => ({ groupId: event.groupId, streamId: event.streamId, input: event.input }),
      },
    },
    'server.closeStream': {
      actions: {
        type: 'closeStream',
        params: ({ event }) => ({ groupId: event.groupId, streamId: event.streamId }),
      },
    },
    'group.childFailed': {
      actions: {
        type: 'reportStreamCrash',
        params: ({ event }) => ({ streamId: event.childId, error: event.error }),
      },
    },
  },
  states: {
    idle: idle(rest),
    starting: starting(serverBoot, 'preparing'),
    healthy: {
      id: 'healthy',
      description: 'Proved to work; turns are admitted.',
      tags: 'available',
      entry: [
        { type: 'reportState', params: { state: 'healthy' } },
        { type: 'tellStreams', params: { message: { type: 'stream.start' } } },
      ],
      invoke: health,
      on: { ...whenCheckFails, ...whenUp },
      after: { resetAfter: { actions: 'resetBackoff' } },
    },
    unhealthy,
    recovering: recovering(rest, serverBoot, 'preparing'),
    failed,
    stopping: stopping(rest),
  },
});
