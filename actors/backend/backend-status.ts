import type { LifeContext } from '../../machines/life-setup.ts';
import type { BackendStatus, InstanceStatus, LastError } from '../contract/status.ts';
import type { BackendRuntime } from './backend-runtime.ts';

/** One backend as plain JSON: no secrets, no shapes of the charts' library. */
export function backendStatus(backend: BackendRuntime): BackendStatus {
  const snapshot = backend.actor?.getSnapshot();
  const shared = {
    state: backend.state,
    detail: detailOf(snapshot?.value ?? backend.state),
    since: iso(backend.since),
    restarts: snapshot?.context.restarts ?? 0,
    ...lastErrorOf(backend),
  };
  return {
    id: backend.id,
    kind: backend.definition.kind,
    mode: backend.definition.mode,
    ...shared,
    busy: backend.turns > 0,
    consecutiveFailures: snapshot?.context.failures ?? 0,
    sessions: backend.sessions.size,
    ...placeOf(snapshot?.context),
    instances: snapshot ? [instanceOf(snapshot.context, shared)] : [],
  };
}

/** The path of the innermost state: `recovering.backingOff`. */
export function detailOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const [entry] = Object.entries(value as Readonly<Record<string, unknown>>);
  return entry ? `${entry[0]}.${detailOf(entry[1])}` : '';
}

const iso = (wallMs: number): string => new Date(wallMs).toISOString();

function instanceOf(context: LifeContext, shared: Omit<InstanceStatus, 'generation'>): InstanceStatus {
  return { ...shared, generation: context.generation, ...(context.pid === null ? {} : { pid: context.pid }) };
}

function placeOf(context: LifeContext | undefined): Pick<BackendStatus, 'pid' | 'port' | 'version'> {
  if (!context) return {};
  return {
    ...(context.pid === null ? {} : { pid: context.pid }),
    ...(context.port === null ? {} : { port: context.port }),
    ...(context.version === null ? {} : { version: context.version }),
  };
}

function lastErrorOf({ lastError }: BackendRuntime): { lastError?: LastError } {
  if (!lastError) return {};
  const { failure, at } = lastError;
  return { lastError: { code: failure.code, message: failure.message, at: iso(at) } };
}
