import type { AnyMachineSnapshot } from 'xstate';
import { expect } from 'vitest';

/** The ids of the children that the actor has now. */
export const children = (snapshot: AnyMachineSnapshot): string[] => Object.keys(snapshot.children).sort();

/** A connection exists exactly where the state says so; nothing runs where the stream is quiet. */
export function checkStream(snapshot: AnyMachineSnapshot): void {
  const present = children(snapshot);
  const connected = ['starting', 'healthy', 'unhealthy', 'recovering.reconnecting'].some((state) =>
    matches(snapshot, state),
  );
  expect(present.includes('subscription')).toBe(connected);
  expect(present.includes('stallWatch')).toBe(snapshot.matches('healthy') || snapshot.matches('unhealthy'));
  if (snapshot.matches('idle') || snapshot.matches('failed')) expect(present).toEqual([]);
}

/** One process at most, one exactly where a state needs it; health is watched only while there is something to watch. */
export function checkLife(snapshot: AnyMachineSnapshot): void {
  const { agentId } = snapshot.context as { agentId: string | null };
  const present = children(snapshot).filter((id) => !id.startsWith('streams-'));
  const needsProcess = ['starting', 'healthy', 'unhealthy', 'stopping', 'recovering.stopping', 'recovering.restarting'];
  expect(present.includes('process')).toBe(needsProcess.some((state) => matches(snapshot, state)));
  expect(present.includes('health')).toBe(snapshot.matches('healthy') || snapshot.matches('unhealthy'));
  const isOnRung = Object.keys(RUNGS).some((state) => matches(snapshot, `recovering.${state}`));
  expect(present.includes('step')).toBe(isOnRung);
  expect(present.includes('modelLimits')).toBe(agentId === null && snapshot.matches('healthy'));
  expect(present.includes('backoff')).toBe(matches(snapshot, 'recovering.backingOff'));
  if (snapshot.matches('idle') || snapshot.matches('failed')) expect(present).toEqual([]);
  checkLadder(snapshot);
}

/** The states of the rungs, and what they do. */
const RUNGS = {
  capturingDiagnostics: 'capture-diagnostics',
  rollingBackConfig: 'rollback-config',
  seedingConfig: 'seed-config',
  restoringConfig: null,
} as const;

/** A rung is taken once, and its outcome is awaited only while the ladder is climbed; a configuration is not left on trial. */
function checkLadder(snapshot: AnyMachineSnapshot): void {
  const { attempted, activeStep, isConfigOnTrial, restartHistory } = snapshot.context as {
    attempted: readonly string[];
    activeStep: string | null;
    isConfigOnTrial: boolean;
    restartHistory: readonly number[];
  };
  expect(new Set(attempted).size).toBe(attempted.length);
  if (activeStep !== null) {
    if (attempted.length > 0) expect(attempted).toContain(activeStep); // Empty: there is another configuration since.
    expect(snapshot.matches('recovering')).toBe(true);
  }
  for (const [state, step] of Object.entries(RUNGS)) {
    if (matches(snapshot, `recovering.${state}`)) expect(activeStep).toBe(step);
  }
  if (snapshot.matches('healthy') || snapshot.matches('failed')) expect(isConfigOnTrial).toBe(false);
  expect(restartHistory.length).toBeLessThanOrEqual(5); // The restarts, and one for each rung that changes the configuration.
}

/** Nothing is ever started, and nothing is asked where the server is given up. */
export function checkExternal(snapshot: AnyMachineSnapshot): void {
  const present = children(snapshot).filter((id) => !id.startsWith('streams-'));
  const isUp = snapshot.matches('healthy') || snapshot.matches('unhealthy');
  expect(present.includes('health')).toBe(isUp);
  expect(present.includes('verify')).toBe(snapshot.matches('starting'));
  expect(present.filter((id) => id === 'process' || id === 'backoff')).toEqual([]);
  if (snapshot.matches('idle') || snapshot.matches('failed')) expect(present).toEqual([]);
}

/** The prompt is sent only while dispatching, and a settled turn has a verdict and no children. */
export function checkTurn(snapshot: AnyMachineSnapshot): void {
  const present = children(snapshot);
  expect(present.includes('dispatch')).toBe(matches(snapshot, 'dispatching.sending'));
  expect(present.includes('canceller')).toBe(snapshot.matches('cancelling'));
  expect(present.includes('inactivityClock')).toBe(matches(snapshot, 'running.attached'));
  expect(snapshot.context.verdict !== null).toBe(snapshot.matches('settled'));
  expect(snapshot.context.dispatches).toBeLessThanOrEqual(5);
}

export function checkSupervisor(snapshot: AnyMachineSnapshot): void {
  if (snapshot.matches('stopped')) return;
  const servers = children(snapshot).filter((id) => id.startsWith('backend:'));
  const expected = ['backend:code', 'backend:far'].filter(
    (id) => !snapshot.context.abandoned.includes(id.slice('backend:'.length)),
  );
  expect(servers).toEqual(expected);
}

function matches(snapshot: AnyMachineSnapshot, path: string): boolean {
  const [outer = '', inner] = path.split('.');
  return snapshot.matches(inner === undefined ? outer : { [outer]: inner });
}
