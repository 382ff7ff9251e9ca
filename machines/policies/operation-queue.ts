/** What a host may ask of a backend. */
export type OperationKind = 'start' | 'stop' | 'restart' | 'reload' | 'checkNow';

/** What is under way, and what waits for it, in order. */
export interface OperationLine {
  readonly running: OperationKind | undefined;
  readonly waiting: readonly OperationKind[];
}

/**
 * What becomes of a request. `join-running` and `join-waiting`: it asks for what is being done, or is about to be.
 * `overtake`: it is done at once, and what runs ends with it. `clear`: that, and what waits is given up for it.
 * `wait`: it has its turn.
 */
export type Admission = 'join-running' | 'join-waiting' | 'overtake' | 'clear' | 'wait';

/**
 * Decides about a request. At most one of each kind waits, so the line is never longer than the kinds. A start is content
 * with a restart that runs. A restart and a reload take over a start: the process that boots may have read what has changed since.
 */
export function admitOperation(kind: OperationKind, { running, waiting }: OperationLine): Admission {
  if (kind === 'stop') return 'clear';
  if (waiting.includes(kind)) return 'join-waiting';
  const isBooting = running === 'start' || running === 'restart';
  if (kind === 'start' && isBooting && waiting.length === 0) return 'join-running';
  return isBooting && (kind === 'restart' || kind === 'reload') ? 'overtake' : 'wait';
}
