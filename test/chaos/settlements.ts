import type { Supervisor } from '../../index.ts';

/** By turn: how often it settled. */
export function countSettlements(supervisor: Pick<Supervisor, 'on'>): ReadonlyMap<string, number> {
  const settlements = new Map<string, number>();
  supervisor.on('turn', (event) => {
    if (event.type === 'settled') settlements.set(event.turnId, (settlements.get(event.turnId) ?? 0) + 1);
  });
  return settlements;
}
