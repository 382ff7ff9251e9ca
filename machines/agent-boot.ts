import { setupLife, subject } from './life-setup.ts';
import { replaceable } from './life-transitions.ts';

/** The way to an agent that takes prompts: the same when starting and when restarting. A restart asked for in `launching` joins. */
const launching = setupLife.createStateConfig({
  description: 'The process is being spawned.',
  on: {
    'process.spawned': {
      target: 'initializing',
      actions: { type: 'notePid', params: ({ event }) => ({ pid: event.pid }) },
    },
  },
});
const initializing = setupLife.createStateConfig({
  description: 'Protocol version and capabilities are agreed on.',
  invoke: { src: 'handshake', id: 'handshake', input: subject },
  on: {
    ...replaceable,
    'handshake.done': {
      target: 'openingSession',
      actions: { type: 'noteVersion', params: ({ event }) => ({ version: event.version }) },
    },
    'handshake.failed': {
      target: '#recovering',
      actions: { type: 'noteFailure', params: ({ event }) => ({ failure: event.failure }) },
    },
  },
  after: { handshakeTimeout: { target: '#recovering', actions: 'noteHandshakeTimeout' } },
});
const openingSession = setupLife.createStateConfig({
  description: 'Its sessions are opened: new, resumed or loaded.',
  invoke: { src: 'openSessions', id: 'openSessions', input: subject },
  on: {
    ...replaceable,
    'sessions.opened': {
      target: '#healthy',
      actions: { type: 'noteOpen', params: ({ event }) => ({ at: event.at }) },
    },
    'sessions.failed': {
      target: '#recovering',
      actions: { type: 'noteFailure', params: ({ event }) => ({ failure: event.failure }) },
    },
  },
  after: { openTimeout: { target: '#recovering', actions: 'noteOpenTimeout' } },
});
/** The substates of `starting` and of `recovering.restarting`. */
export const agentBoot = { launching, initializing, openingSession } as const;
