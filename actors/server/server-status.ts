import type { LifeContext } from '../../machines/life-types.ts';
import { nextStep } from '../../machines/policies/process-life.ts';
import { instanceStatus, placeOf } from '../backend/life-status.ts';
import type { BackendStatus } from '../contract/status.ts';
import type { ServerBackend } from './server-backend.ts';

/** A server as plain JSON: a backend of one process. */
export function serverStatus(backend: ServerBackend): BackendStatus {
  const { generation, ...shared } = instanceStatus(backend);
  const context = backend.actor?.getSnapshot().context;
  return {
    id: backend.id,
    kind: backend.definition.kind,
    mode: backend.definition.mode,
    ...shared,
    busy: backend.turns > 0,
    consecutiveFailures: context?.failures ?? 0,
    sessions: backend.sessions.size,
    ...placeOf(context),
    instances: context ? [{ ...shared, generation }] : [],
    ...recoveryOf(backend, context),
  };
}

/** Where the ladder stands, while something is wrong. */
function recoveryOf({ state }: ServerBackend, context: LifeContext | undefined): Pick<BackendStatus, 'recovery'> {
  if (!context || context.mode === 'external') return {};
  if (state !== 'unhealthy' && state !== 'recovering' && state !== 'failed') return {};
  const { activeStep, attempted, lastFailure } = context;
  const next = state === 'failed' ? undefined : nextStep({ ...context, failure: lastFailure });
  return {
    recovery: {
      attempted,
      ...(activeStep === null ? {} : { active: activeStep }),
      ...(next === undefined ? {} : { next }),
    },
  };
}
