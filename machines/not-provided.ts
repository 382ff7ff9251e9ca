import { type AnyEventObject, fromCallback, type NonReducibleUnknown } from 'xstate';

/** Stands in for an actor that the composition must provide; starting it fails loudly instead of silently. */
export function notProvided<TInput extends NonReducibleUnknown>(name: string) {
  return fromCallback<AnyEventObject, TInput>(() => {
    throw new Error(`Actor "${name}" was not provided: pass an implementation with machine.provide({ actors })`);
  });
}
