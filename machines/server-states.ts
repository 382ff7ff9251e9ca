import { demand } from './life-transitions.ts';

/** What the charts of a server share, whoever runs it. */

/** No server, no events. */
export const rest = [{ type: 'tellStreams', params: { message: { type: 'stream.halt' } } }] as const;

/** A server that works: its streams connect. */
export const whenHealthy = [
  { type: 'reportStep', params: { outcome: 'healthy' } },
  'clearStep',
  { type: 'reportState', params: { state: 'healthy' } },
  { type: 'tellStreams', params: { message: { type: 'stream.start' } } },
] as const;

/** Streams come and go in every state. */
export const streams = {
  'life.demandChanged': { actions: { type: 'noteDemand', params: demand } },
  'server.openStream': {
    actions: {
      type: 'openStream',
      params: ({ event }: { event: { groupId: string; streamId: string; input: unknown } }) => ({
        groupId: event.groupId,
        streamId: event.streamId,
        input: event.input,
      }),
    },
  },
  'server.closeStream': {
    actions: {
      type: 'closeStream',
      params: ({ event }: { event: { groupId: string; streamId: string } }) => ({
        groupId: event.groupId,
        streamId: event.streamId,
      }),
    },
  },
  'group.childFailed': {
    actions: {
      type: 'reportStreamCrash',
      params: ({ event }: { event: { childId: string; error: unknown } }) => ({
        streamId: event.childId,
        error: event.error,
      }),
    },
  },
} as const;
