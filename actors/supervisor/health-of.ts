import type { LifecycleState, SupervisorStatus } from '../contract/status.ts';

/** For a health endpoint. */
export interface Health {
  readonly status: 'up' | 'degraded' | 'down';
  readonly httpStatus: 200 | 503;
}

/** What works, or starts when it is used. */
const FINE: ReadonlySet<LifecycleState> = new Set(['idle', 'healthy']);

/**
 * Condenses a status for a health endpoint. `up`: every backend works, or rests until it is used. `degraded` (200): one does
 * not, and another does or is on its way. `down` (503): every backend has failed, or the supervisor is stopping or stopped.
 */
export function healthOf({ state, backends }: SupervisorStatus): Health {
  const states = Object.values(backends).map((backend) => backend.state);
  const isDown = state !== 'running' || states.every((backend) => backend === 'failed');
  if (isDown) return { status: 'down', httpStatus: 503 };
  return { status: states.every((backend) => FINE.has(backend)) ? 'up' : 'degraded', httpStatus: 200 };
}
