import { enqueueActions, sendParent, setup } from 'xstate';
import { notProvided } from './not-provided.ts';

/** At most this many children under one parent: stopping the children of one parent is quadratic in their number. */
export const MAX_GROUP_CHILDREN = 64;

/** What a group tells its owner about a child that is gone. */
export type GroupReport =
  | { readonly type: 'group.childDone'; readonly childId: string }
  | { readonly type: 'group.childFailed'; readonly childId: string; readonly error: unknown };

/** A plain event for the children; its shape is their business. */
export interface GroupMessage {
  readonly type: string;
}

export type GroupEvent =
  | { readonly type: 'group.open'; readonly childId: string; readonly input: unknown }
  | { readonly type: 'group.close'; readonly childId: string }
  | { readonly type: 'group.tell'; readonly childId: string; readonly message: GroupMessage }
  | { readonly type: 'group.tellAll'; readonly message: GroupMessage }
  | { readonly type: `xstate.done.actor.${string}`; readonly actorId: string }
  | { readonly type: `xstate.error.actor.${string}`; readonly actorId: string; readonly error: unknown };

export interface GroupContext {
  readonly childIds: readonly string[];
}

/** Holds up to 64 children of one kind, made on demand. A child that ends or breaks takes nobody with it. */
export const groupMachine = setup({
  types: { context: {} as GroupContext, events: {} as GroupEvent },
  actors: { child: notProvided<unknown>('child') },
  actions: {
    openChild: enqueueActions(({ context, enqueue }, params: { childId: string; input: unknown }) => {
      if (context.childIds.includes(params.childId)) return;
      enqueue.spawnChild('child', { id: params.childId, input: params.input });
      enqueue.assign({ childIds: [...context.childIds, params.childId] });
    }),
    closeChild: enqueueActions(({ context, enqueue }, params: { childId: string }) => {
      if (!context.childIds.includes(params.childId)) return;
      enqueue.stopChild(params.childId);
      enqueue.assign({ childIds: context.childIds.filter((id) => id !== params.childId) });
    }),
    tell: enqueueActions(({ context, enqueue }, params: { childId: string; message: GroupMessage }) => {
      if (context.childIds.includes(params.childId)) enqueue.sendTo(params.childId, params.message);
    }),
    tellAll: enqueueActions(({ context, enqueue }, params: { message: GroupMessage }) => {
      for (const childId of context.childIds) enqueue.sendTo(childId, params.message);
    }),
    reportDone: sendParent((_, params: { childId: string }): GroupReport => ({ type: 'group.childDone', ...params })),
    reportFailed: sendParent((_, params: { childId: string; error: unknown }): GroupReport => ({
      type: 'group.childFailed',
      ...params,
    })),
  },
}).createMachine({
  id: 'group',
  context: { childIds: [] },
  initial: 'holding',
  states: {
    holding: {
      description: 'Children come and go; the owner stops the group when it is empty.',
      on: {
        'group.open': {
          actions: { type: 'openChild', params: ({ event }) => ({ childId: event.childId, input: event.input }) },
        },
        'group.close': { actions: { type: 'closeChild', params: ({ event }) => ({ childId: event.childId }) } },
        'group.tell': {
          actions: { type: 'tell', params: ({ event }) => ({ childId: event.childId, message: event.message }) },
        },
        'group.tellAll': { actions: { type: 'tellAll', params: ({ event }) => ({ message: event.message }) } },
        'xstate.done.actor.*': {
          actions: [
            { type: 'closeChild', params: ({ event }) => ({ childId: event.actorId }) },
            { type: 'reportDone', params: ({ event }) => ({ childId: event.actorId }) },
          ],
        },
        'xstate.error.actor.*': {
          actions: [
            { type: 'closeChild', params: ({ event }) => ({ childId: event.actorId }) },
            { type: 'reportFailed', params: ({ event }) => ({ childId: event.actorId, error: event.error }) },
          ],
        },
      },
    },
  },
});
