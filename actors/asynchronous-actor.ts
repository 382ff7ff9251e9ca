import { type AnyEventObject, fromCallback } from 'xstate';
import type { Logger } from './contract/supervisor.ts';
import { messageOf } from './errors.ts';

/** What an asynchronous actor may do while it is not stopped. */
export interface ActorControls<E> {
  readonly signal: AbortSignal;
  /** Tells the owner; after the stop nothing is told. */
  readonly tell: (event: E) => void;
}

/**
 * An actor that does asynchronous work until it is stopped. The work is aborted with the actor, and tells nothing after
 * that. It reports its failures as facts; what it throws all the same is a defect, and is logged as one.
 */
export function asynchronousActor<E extends AnyEventObject, TInput>(
  { logger }: { readonly logger: Logger },
  work: (input: TInput, controls: ActorControls<E>) => Promise<void>,
) {
  return fromCallback<AnyEventObject, TInput>(({ input, sendBack }) => {
    const stopped = new AbortController();
    const tell = (event: E) => {
      if (!stopped.signal.aborted) sendBack(event);
    };
    work(input, { signal: stopped.signal, tell }).catch((error: unknown) => {
      logger.error({ err: error }, `An actor failed: ${messageOf(error)}`);
    });
    return () => stopped.abort();
  });
}
