import { type AnyEventObject, fromCallback } from 'xstate';
import { backoffMachine } from '../../machines/backoff-machine.ts';
import { stallLimit } from '../../machines/policies/stall-limit.ts';
import { streamMachine } from '../../machines/stream-machine.ts';
import type { StreamEvent, StreamSubject } from '../../machines/stream-setup.ts';
import type { TurnEvent } from '../../machines/turn-setup.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { waitFor } from '../clock-loop.ts';
import { toFailure } from '../errors.ts';
import { guarded } from '../guarded.ts';
import type { ConnectionObserver } from '../ports.ts';
import type { Registry, StreamChange } from '../registry.ts';
import type { StreamRuntime } from './stream-runtime.ts';

/** How often a stalled stream is looked at, in milliseconds. */
const REVIVAL_POLL_MS = 250;

/** What the composition wants to hear of a stream. */
export interface StreamObserver {
  streamChanged(backendId: string, stream: StreamRuntime, change: StreamChange): void;
}

/** The stream chart over the drivers' connections. */
export function provideStream(registry: Registry, observer: StreamObserver) {
  const { logger, clock } = registry;
  const streamOf = ({ backendId, streamId }: StreamSubject) => registry.stream(backendId, streamId);
  return streamMachine.provide({
    actors: {
      subscription: subscriptionActor(registry),
      reconcile: reconcileActor(registry),
      stallWatch: stallWatchActor(registry),
      backoff: backoffMachine.provide({ delays: { wait: ({ context }) => registry.backoffDelay(context) } }),
    },
    actions: {
      announce: guarded(logger, 'announce', ({ context, self }) => {
        streamOf(context).bind(self);
        if (registry.server(context.backendId).isAvailable) streamOf(context).start();
      }),
      reportState: guarded(logger, 'reportState', ({ context, event }, { state }) => {
        observer.streamChanged(context.backendId, streamOf(context), { to: state, event, failure: context.failure });
      }),
      release: guarded(logger, 'release', ({ context }) => {
        const stream = streamOf(context);
        stream.connection?.release();
        stream.isOpen = true;
        tellTurns(stream, () => ({ type: 'backend.available', at: clock.now() }));
      }),
      detach: guarded(logger, 'detach', ({ context }) => {
        const stream = streamOf(context);
        if (!stream.isOpen) return;
        stream.isOpen = false;
        tellTurns(stream, () => ({ type: 'backend.lost', at: clock.now() }));
      }),
      abandon: guarded(logger, 'abandon', ({ context }) => {
        const failure = context.failure ?? { code: 'ERR_STREAM_FAILED', message: 'The event stream was given up.' };
        const given = {
          ...failure,
          code: 'ERR_STREAM_FAILED',
          message: `The event stream was given up: ${failure.message}`,
        };
        tellTurns(streamOf(context), () => ({ type: 'backend.failed', at: clock.now(), failure: given }));
      }),
    },
  });
}

function tellTurns(stream: StreamRuntime, event: () => TurnEvent): void {
  for (const turn of stream.running()) turn.send(event());
}

/** Owns one connection. */
function subscriptionActor(registry: Registry) {
  const { clock } = registry;
  return fromCallback<AnyEventObject, StreamSubject>(({ input, sendBack }) => {
    const tell = (event: StreamEvent) => sendBack(event);
    const { driver, scope } = registry.server(input.backendId);
    const runtime = registry.stream(input.backendId, input.streamId);
    const observer: ConnectionObserver = {
      connected: () => tell({ type: 'subscription.connected', at: clock.now() }),
      opened: () => tell({ type: 'subscription.opened', at: clock.now() }),
      ended: (productive) => tell({ type: 'subscription.ended', at: clock.now(), productive }),
      failed: (productive, failure) => tell({ type: 'subscription.failed', at: clock.now(), productive, failure }),
    };
    try {
      const connection = driver.connect(runtime.target, observer);
      runtime.connection = connection;
      const release = scope.defer(() => connection.close());
      return () => {
        if (runtime.connection === connection) runtime.connection = undefined;
        void release();
      };
    } catch (error) {
      const failure = toFailure(error, 'ERR_STREAM_FAILED');
      tell({ type: 'subscription.failed', at: clock.now(), productive: false, failure });
      return undefined;
    }
  });
}

function reconcileActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<StreamEvent, StreamSubject>(registry, async ({ backendId, streamId }, { signal, tell }) => {
    try {
      const turns = registry.stream(backendId, streamId).running();
      const drivers = turns.map((turn) => turn.driver).filter((driver) => driver !== undefined);
      if (drivers.length > 0) await registry.server(backendId).driver.reconcile(drivers, signal);
      tell({ type: 'reconcile.done', at: clock.now() });
    } catch (error) {
      tell({ type: 'reconcile.failed', at: clock.now(), failure: toFailure(error, 'ERR_STREAM_FAILED') });
    }
  });
}

/** Wakes when the stream would be stalled if nothing came until then; events re-arm nothing. */
function stallWatchActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<StreamEvent, StreamSubject>(registry, async ({ backendId, streamId }, { signal, tell }) => {
    const { stallMs } = registry.server(backendId).definition.settings.stream;
    const { connection } = registry.stream(backendId, streamId);
    let stalled = false;
    while (connection && !signal.aborted) {
      const limitMs = stallLimit(stallMs, connection.heartbeatMs());
      const silentForMs = clock.now() - connection.lastSeenAt();
      const isSilent = silentForMs >= limitMs;
      if (isSilent && !stalled) tell(stalledFact(clock.now(), silentForMs, connection.isProductive()));
      if (!isSilent && stalled) tell({ type: 'watch.revived', at: clock.now() });
      stalled = isSilent;
      await waitFor(clock, isSilent ? REVIVAL_POLL_MS : Math.ceil(limitMs - silentForMs), signal);
    }
  });
}

function stalledFact(at: number, silentForMs: number, productive: boolean): StreamEvent {
  const message = `No byte came for ${Math.round(silentForMs)} ms; the connection is replaced.`;
  return { type: 'watch.stalled', at, productive, failure: { code: 'ERR_STREAM_STALLED', message } };
}
