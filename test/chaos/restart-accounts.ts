import type { Session } from '../../index.ts';
import type { OpenedSession } from '../fixtures/programs/restarting-host.ts';
import { type RestartingHost, said } from '../fixtures/restarting-host.ts';

type Interruption = NonNullable<Session['interrupted']>;

/**
 * How the turn of a killed host is accounted for: its host told its end; its end is on record, though its host did not tell
 * it any more; nothing is on record and nobody has seen it; or what the next host was told of it.
 */
export type Account = 'settled' | 'settled unheard' | 'never sent' | Interruption['outcome'] | 'unaccounted';

/** A host that was killed, and the one that went on. */
export interface Aftermath {
  readonly first: RestartingHost;
  readonly second: RestartingHost;
  readonly executions: number;
  /** The model had said its last word when the host was killed. */
  readonly isAnswered: boolean;
  /** The text of a turn that is complete. */
  readonly text: string;
  /** Turns that hosts were told of. */
  readonly told: Set<string>;
  readonly complain: (what: string) => void;
}

/** Finds out what became of the turn, and complains of whatever is not so. */
export function accountOf(aftermath: Aftermath): Account {
  const { first, second, executions, isAnswered, complain } = aftermath;
  const record = said(second, 'record');
  const settled = said(first, 'settled');
  const interrupted = said(second, 'open')?.interrupted;
  if (executions > 1) complain(`its turn was executed ${executions} times`);
  // A conversation that was not remembered yet, and in which nothing was said, begins anew.
  if (record || executions > 0) expectSame(said(first, 'open'), second, complain, interrupted);
  if (interrupted) return accountOfInterrupted(aftermath, interrupted);
  if (settled) {
    expectProved(aftermath, settled);
    return 'settled';
  }
  const isEndOnRecord = record && !record.turn && record.lastActiveAt > (said(first, 'prompting') ?? '');
  if (isEndOnRecord && isAnswered) return 'settled unheard';
  if (!isEndOnRecord && executions === 0) return 'never sent';
  complain(`its turn was executed ${executions} times, and nobody knows: ${JSON.stringify(record)}`);
  return 'unaccounted';
}

/** The chat goes on in the same agent session, and its host is told of no other turn than that one. */
export function expectSame(
  before: OpenedSession | undefined,
  host: RestartingHost,
  complain: (what: string) => void,
  interrupted?: Interruption,
): void {
  const { interrupted: heard, ...now } = said(host, 'open') ?? {};
  const expected = before && { agentSessionId: before.agentSessionId, restored: 'restored' };
  if (expected && JSON.stringify(now) !== JSON.stringify(expected))
    complain(`${JSON.stringify(now)} instead of ${JSON.stringify(expected)}`);
  if (heard?.turnId !== interrupted?.turnId) complain(`a turn was told once more: ${JSON.stringify(heard)}`);
}

function accountOfInterrupted(aftermath: Aftermath, interrupted: Interruption): Account {
  const { first, second, told, complain } = aftermath;
  const { turnId, outcome } = interrupted;
  expectProved(aftermath, interrupted);
  const known = [said(first, 'prompted') ?? turnId, said(second, 'record')?.turn?.id];
  if (known.some((id) => id !== turnId)) complain(`another turn was told: ${turnId}`);
  if (told.has(turnId)) complain('its turn was told twice');
  told.add(turnId);
  return outcome;
}

/** What is said of a turn has to be so. */
function expectProved(
  { executions, text: whole, complain }: Aftermath,
  { outcome, text }: Pick<Interruption, 'outcome' | 'text'>,
): void {
  if (outcome === 'failed' || outcome === 'cancelled') complain(`its turn was ${outcome}`);
  if (outcome === 'not-accepted' && executions !== 0) complain('its turn was not accepted, and executed');
  if (outcome !== 'completed') return;
  if (executions !== 1) complain(`its turn was completed, and executed ${executions} times`);
  if (text !== whole) complain(`its turn was completed with ${JSON.stringify(text)}`);
}
