import { describe, expect, it } from 'vitest';
import { type BackendStatus, healthOf, type LifecycleState, type SupervisorStatus } from '../../index.ts';

const statusOf = (state: SupervisorStatus['state'], ...states: LifecycleState[]): SupervisorStatus => ({
  state,
  backends: Object.fromEntries(states.map((each, index) => [`b${index}`, { state: each } as BackendStatus])),
  sessions: [],
});

describe('the health of a supervisor, for an endpoint', () => {
  it.each<[SupervisorStatus['state'], LifecycleState[], string, number]>([
    ['running', ['healthy'], 'up', 200],
    ['running', ['idle'], 'up', 200],
    ['running', ['healthy', 'idle'], 'up', 200],
    ['running', ['recovering'], 'degraded', 200],
    ['running', ['unhealthy'], 'degraded', 200],
    ['running', ['starting'], 'degraded', 200],
    ['running', ['healthy', 'failed'], 'degraded', 200],
    ['running', ['failed', 'recovering'], 'degraded', 200],
    ['running', ['failed'], 'down', 503],
    ['running', ['failed', 'failed'], 'down', 503],
    ['draining', ['healthy'], 'down', 503],
    ['stopped', ['idle'], 'down', 503],
  ])('that is %s with backends %j is %s (%i)', (state, states, status, httpStatus) => {
    expect(healthOf(statusOf(state, ...states))).toEqual({ status, httpStatus });
  });
});
