import { type AnyEventObject, fromCallback } from 'xstate';

/** What an asynchronous actor may do while it is not stopped. */
export interface ActorControls<E> {
  readonly signal: AbortSignal;
  /** Tells the owner; after the stop nothing is told. */
  readonly tell: (event: E) => void;
}

/**
 * An actor that does asynchronous work until it is stopped. The work is aborted with the actor, and tells nothing after
 * that. It must not reject: it reports its failures as facts.
 */
export function asynchronousActor<E extends AnyEventObject, TInput>(
  work: (input: TInput, controls: ActorControls<E>) => Promise<void>,
) {
  return fromCallback<AnyEventObject, TInput>(({ input, sendBack }) => {
    const stopped = new AbortController();
    const tell = (event: E) => {
      if (!stopped.signal.aborted) sendBack(event);
    };
    void work(input, { signal: stopped.signal, tell });
    return () => stopped.abort();
  });
}
