import { setupSupervisor, type SupervisorEvent } from './supervisor-setup.ts';

type EventOf<T extends SupervisorEvent['type']> = Extract<SupervisorEvent, { type: T }>;
const crash = ({ event }: { event: EventOf<'backend.crashed'> }) => ({ backendId: event.backendId, at: event.at });

/** Backends and turns go on in every state but the last. */
const routing = {
  'backend.command': {
    actions: {
      type: 'route',
      params: ({ event }: { event: EventOf<'backend.command'> }) => ({
        backendId: event.backendId,
        command: event.command,
      }),
    },
  },
  'group.childDone': {
    actions: [
      'forgetTurn',
      { type: 'dropEmptyGroups', params: {} },
      {
        type: 'reportTurnGone',
        params: ({ event }: { event: EventOf<'group.childDone'> }) => ({ childId: event.childId }),
      },
    ],
  },
  'group.childFailed': {
    actions: [
      'forgetTurn',
      { type: 'dropEmptyGroups', params: {} },
      {
        type: 'reportTurnGone',
        params: ({ event }: { event: EventOf<'group.childFailed'> }) => ({
          childId: event.childId,
          error: event.error,
        }),
      },
    ],
  },
  'backend.stateChanged': {
    actions: {
      type: 'noteState',
      params: ({ event }: { event: EventOf<'backend.stateChanged'> }) => ({
        backendId: event.backendId,
        state: event.state,
      }),
    },
  },
  'xstate.error.actor.*': {
    actions: {
      type: 'reportCrash',
      params: ({ event }: { event: { actorId: string; error: unknown } }) => ({
        actorId: event.actorId,
        error: event.error,
      }),
    },
  },
} as const;

/** The root: starts, routes, drains, and stops what it started. No child can end it. */
export const supervisorMachine = setupSupervisor.createMachine({
  id: 'supervisor',
  context: ({ input }) => ({
    ...input,
    startOrder: [],
    states: {},
    crashes: {},
    abandoned: [],
    turnGroups: [],
    turns: 0,
    graceMs: 0,
  }),
  entry: { type: 'spawnBackends', params: {} },
  initial: 'running',
  on: routing,
  states: {
    running: {
      description: 'Admits sessions and turns; a chart that breaks is restarted within the intensity.',
      entry: { type: 'reportState', params: { state: 'running' } },
      on: {
        'supervisor.openTurn': {
          actions: {
            type: 'openTurn',
            params: ({ event }) => ({ groupId: event.groupId, childId: event.childId, input: event.input }),
          },
        },
        'backend.crashed': [
          {
            guard: { type: 'isWithinIntensity', params: crash },
            actions: [
              { type: 'noteCrash', params: crash },
              { type: 'respawn', params: crash },
            ],
          },
          {
            actions: [
              { type: 'dropBackend', params: crash },
              { type: 'noteAbandoned', params: crash },
              { type: 'reportAbandoned', params: crash },
            ],
          },
        ],
        'supervisor.stop': {
          target: 'draining',
          actions: { type: 'noteGrace', params: ({ event }) => ({ graceMs: event.graceMs }) },
        },
      },
    },
    draining: {
      description: 'Refuses new work, ends what runs, stops the backends. A second stop escalates.',
      entry: { type: 'reportState', params: { state: 'draining' } },
      initial: 'settling',
      states: {
        settling: {
          description: 'Running turns may end by themselves within the grace.',
          always: { target: 'stoppingBackends', guard: 'hasNoTurns' },
          on: { 'supervisor.stop': { target: 'cancelling' } },
          after: { grace: { target: 'cancelling' } },
        },
        cancelling: {
          description: 'What still runs is cancelled.',
          entry: { type: 'cancelTurns', params: {} },
          always: { target: 'stoppingBackends', guard: 'hasNoTurns' },
          on: { 'supervisor.stop': { target: 'stoppingBackends' } },
          after: { cancelLimit: { target: 'stoppingBackends' } },
        },
        stoppingBackends: {
          description: 'One after the other, the last one started first. Each stop has its own time limit.',
          entry: { type: 'stopLatest', params: {} },
          always: { target: '#supervisor.stopped', guard: 'isQuiet' },
          on: {
            'backend.stateChanged': [
              {
                guard: { type: 'isStopped', params: ({ event }) => ({ state: event.state }) },
                actions: [routing['backend.stateChanged'].actions, { type: 'stopLatest', params: {} }],
              },
              routing['backend.stateChanged'],
            ],
            'supervisor.stop': { actions: { type: 'stopAll', params: {} } },
          },
        },
      },
      on: {
        'backend.command': [
          {
            ...routing['backend.command'],
            guard: { type: 'isNoStart', params: ({ event }) => ({ command: event.command }) },
          },
          { actions: [] },
        ],
        'backend.crashed': {
          actions: [
            { type: 'dropBackend', params: crash },
            { type: 'noteAbandoned', params: crash },
            { type: 'stopLatest', params: {} },
          ],
        },
      },
    },
    stopped: {
      description: 'Every child is gone.',
      type: 'final',
      entry: { type: 'reportState', params: { state: 'stopped' } },
    },
  },
});
