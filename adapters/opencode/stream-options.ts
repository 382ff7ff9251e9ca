import type { BackendSettings, StreamScope } from '../../actors/ports.ts';
import { expectCount, expectDuration, expectObject, expectOneOf, optional } from '../../actors/validation.ts';
import { duration, resolveBackoff } from '../life-options.ts';

/** The event streams of a server. Durations are in milliseconds. */
export interface StreamOptions {
  /** Which sessions share one connection. Default `server`. */
  scope?: StreamScope;
  /** Limit for the response and for the first event. Default 10_000. */
  firstEventMs?: number;
  /** Silence that means a stall. Default: 25_000, or 2.5 learned heartbeats where that is more. */
  stallMs?: number;
  /** Default { baseMs 1_000, maxMs 30_000, factor 2, maxAttempts 6, jitter 'none' }. */
  backoff?: { baseMs?: number; maxMs?: number; factor?: number; maxAttempts?: number; jitter?: 'none' | 'full' };
}

/** Checks the options and fills in the defaults. Throws `ERR_INVALID_OPTION`. */
export function resolveStream(value: unknown): BackendSettings['stream'] {
  const stream = expectObject('stream', value, ['scope', 'firstEventMs', 'stallMs', 'backoff']);
  const path = 'stream.backoff';
  const backoff = expectObject(path, stream['backoff'], ['baseMs', 'maxMs', 'factor', 'maxAttempts', 'jitter']);
  const scopes = ['server', 'directory', 'session'] as const;
  return {
    scope: optional(stream['scope'], (given) => expectOneOf('stream.scope', given, scopes)) ?? 'server',
    firstEventMs: duration(stream, 'firstEventMs', 10_000, 'stream.'),
    reconcileTimeoutMs: 10_000,
    stallGraceMs: 1_000,
    auditIntervalMs: 30_000,
    retry: {
      ...resolveBackoff(backoff, `${path}.`, { baseMs: 1_000, jitter: 'none' }),
      maxAttempts: optional(backoff['maxAttempts'], (given) => expectCount(`${path}.maxAttempts`, given)) ?? 6,
    },
    ...(stream['stallMs'] === undefined ? {} : { stallMs: expectDuration('stream.stallMs', stream['stallMs']) }),
  };
}
