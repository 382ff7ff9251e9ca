import type { Failure } from '../../machines/policies/failure-class.ts';

/** What people read for the events that move a server or a stream. */
const REASONS: Readonly<Record<string, string>> = {
  'life.start': 'start requested',
  'life.stop': 'stop requested',
  'life.reload': 'reload requested',
  'life.reconfigured': 'the configuration was taken over',
  'verify.passed': 'ready',
  'health.passed': 'health check passed',
  'stream.start': 'connection wanted',
  'stream.halt': 'the server is down, or the stream is not wanted',
  'reconcile.done': 'connected and reconciled',
  'watch.revived': 'events came again',
  'subscription.ended': 'the server ended the stream',
  'xstate.init': 'created',
};

type Seen = { readonly type: string } & Partial<Record<'reason', string>> & { readonly failure?: Failure };

/** Why a chart entered a state, from the event that made it. */
export function reasonOf(event: { readonly type: string }, lastFailure: Failure | null): string {
  const { type, reason, failure } = event as Seen;
  if (type === 'life.restart') return `restart requested: ${reason ?? 'no reason given'}`;
  if (type === 'life.evict') return `evicted: ${reason ?? 'no reason given'}`;
  if (type === 'health.failed' && !lastFailure) return `health check failed: ${reason ?? 'no reason given'}`;
  if (type === 'process.ended' && !lastFailure) return 'the process ended, as asked';
  if (type === 'life.demandChanged' && !lastFailure) return 'reload requested, and no turn runs any more';
  const known = REASONS[type];
  if (known !== undefined) return known;
  const why = lastFailure ?? failure;
  return why ? `${why.code}: ${why.message}` : type;
}
