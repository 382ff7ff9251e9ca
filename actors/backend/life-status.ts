import type { LifeContext } from '../../machines/life-types.ts';
import type { BackendStatus, InstanceStatus, LastError } from '../contract/status.ts';
import type { LifeRuntime } from './life-runtime.ts';

/** One process life after another, as plain JSON: no secrets, no shapes of the charts' library. */
export function instanceStatus(life: LifeRuntime): InstanceStatus {
  const snapshot = life.actor?.getSnapshot();
  const pid = snapshot?.context.pid ?? null;
  return {
    state: life.state,
    detail: detailOf(snapshot?.value ?? life.state),
    since: iso(life.since),
    restarts: snapshot?.context.restarts ?? 0,
    generation: snapshot?.context.generation ?? 0,
    ...lastErrorOf(life),
    ...(pid === null ? {} : { pid }),
  };
}

/** What a backend shows of its only process. */
export function placeOf(context: LifeContext | undefined): Pick<BackendStatus, 'pid' | 'port' | 'version'> {
  if (!context) return {};
  return {
    ...(context.pid === null ? {} : { pid: context.pid }),
    ...(context.port === null ? {} : { port: context.port }),
    ...(context.version === null ? {} : { version: context.version }),
  };
}

/** The path of the innermost state: `recovering.backingOff`. */
export function detailOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const [entry] = Object.entries(value as Readonly<Record<string, unknown>>);
  return entry ? `${entry[0]}.${detailOf(entry[1])}` : '';
}

const iso = (wallMs: number): string => new Date(wallMs).toISOString();

export function lastErrorOf({ lastError }: LifeRuntime): { lastError?: LastError } {
  if (!lastError) return {};
  const { failure, at } = lastError;
  return { lastError: { code: failure.code, message: failure.message, at: iso(at) } };
}
