/** Limits of what is kept warm: counts and milliseconds. */
export interface PoolLimits {
  /** Processes at once. */
  readonly maxWarm: number;
  /** What nobody used for this long is let go. */
  readonly idleTtlMs: number;
  /** Who may wait for a place. */
  readonly maxWaiting: number;
}

/** Something warm, as far as it matters to whether it may stay. */
export interface WarmPlace {
  /** Nobody works with it, and nobody waits for it. */
  readonly isFree: boolean;
  /** When it was last used, in monotonic milliseconds; and which use of all that was. */
  readonly usedAt: number;
  readonly use: number;
}

/**
 * Whether a newcomer gets a place at once, waits for one, or is sent away. Who waits for a place that is about to be free is
 * not counted: it is theirs.
 */
export function admission(
  limits: PoolLimits,
  warm: number,
  waiting: number,
  becomingFree: number,
): 'place' | 'wait' | 'full' {
  if (warm < limits.maxWarm && waiting === 0) return 'place';
  return waiting - becomingFree < limits.maxWaiting ? 'wait' : 'full';
}

/** The places to give up so that `wanted` more find room: the least recently used first, and never one in use. */
export function leastRecentlyUsed<T extends WarmPlace>(places: readonly T[], wanted: number): readonly T[] {
  const free = places.filter(({ isFree }) => isFree).toSorted((a, b) => a.use - b.use);
  return free.slice(0, Math.max(0, wanted));
}

/** The places that nobody has used for too long. */
export function outlived<T extends WarmPlace>(
  places: readonly T[],
  { idleTtlMs }: PoolLimits,
  now: number,
): readonly T[] {
  return places.filter(({ isFree, usedAt }) => isFree && now - usedAt >= idleTtlMs);
}
