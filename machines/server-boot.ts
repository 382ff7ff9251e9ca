import { subject, setupLife } from './life-setup.ts';
import { replaceable } from './life-transitions.ts';

/**
 * The way to a proven server: the same when starting and when restarting. A restart asked for in `preparing` joins; another
 * configuration does not: the one before may have been read already.
 */
const preparing = setupLife.createStateConfig({
  description: 'Command, directory, configuration, port and password are settled.',
  on: {
    'life.reload': replaceable['life.reload'],
    'process.prepared': {
      target: 'launching',
      actions: [
        { type: 'notePort', params: ({ event }) => ({ port: event.port }) },
        { type: 'noteConfig', params: ({ event }) => ({ configId: event.configId }) },
      ],
    },
  },
});
const launching = setupLife.createStateConfig({
  description: 'The process is being spawned.',
  on: {
    ...replaceable,
    'process.spawned': {
      target: 'awaitingReady',
      actions: { type: 'notePid', params: ({ event }) => ({ pid: event.pid }) },
    },
  },
});
const awaitingReady = setupLife.createStateConfig({
  description: 'Waits for the line that names the address.',
  on: {
    ...replaceable,
    'process.listening': {
      target: 'verifyingVersion',
      actions: { type: 'notePort', params: ({ event }) => ({ port: event.port }) },
    },
  },
});
const verifyingVersion = setupLife.createStateConfig({
  description: 'Proves that the server is ours, answers for its own directory, and has an accepted version.',
  invoke: {
    src: 'verify',
    id: 'verify',
    input: subject,
  },
  on: {
    ...replaceable,
    'verify.passed': {
      target: '#healthy',
      actions: { type: 'noteHealthy', params: ({ event }) => ({ at: event.at, version: event.version }) },
    },
    'verify.failed': {
      target: '#recovering',
      actions: { type: 'noteFailure', params: ({ event }) => ({ failure: event.failure }) },
    },
  },
});
/** The substates of `starting` and of `recovering.restarting`. */
export const serverBoot = { preparing, launching, awaitingReady, verifyingVersion } as const;
