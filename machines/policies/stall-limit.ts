/** A stream without any byte for longer than this is stalled, when nothing was configured, in milliseconds. */
export const DEFAULT_STALL_MS = 25_000;

/** Heartbeats missed before a stream counts as stalled. */
const HEARTBEATS_MISSED = 2.5;

/** How long a stream may be silent: what was configured, else the larger of 25 s and 2.5 heartbeats. */
export function stallLimit(configuredMs: number | undefined, heartbeatMs: number | undefined): number {
  if (configuredMs !== undefined) return configuredMs;
  return Math.max(DEFAULT_STALL_MS, (heartbeatMs ?? 0) * HEARTBEATS_MISSED);
}
