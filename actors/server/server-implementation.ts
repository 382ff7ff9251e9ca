import { type AnyEventObject, fromCallback } from 'xstate';
import { backoffMachine } from '../../machines/backoff-machine.ts';
import { groupMachine } from '../../machines/group-machine.ts';
import { healthMachine, type ProbeInput, type ProbeReport } from '../../machines/health-machine.ts';
import { serverMachine } from '../../machines/server-machine.ts';
import type { ServerEvent, LifeSubject } from '../../machines/life-setup.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { withLimit } from '../clock-loop.ts';
import type { LifecycleState } from '../contract/status.ts';
import type { SupervisorEvents } from '../contract/supervisor.ts';
import { messageOf, toFailure } from '../errors.ts';
import { guarded } from '../guarded.ts';
import type { LifeObserver } from '../ports.ts';
import type { Registry } from '../registry.ts';
import { provideStream } from '../stream/stream-implementation.ts';
import type { StateChange } from '../backend/life-runtime.ts';
import type { ServerBackend } from './server-backend.ts';
import { reasonOf } from '../backend/transition-reason.ts';

/** What the composition wants to hear of a server. */
export interface ServerObserver {
  stateChanged(backend: ServerBackend, change: StateChange): void;
  streamCrashed(backend: ServerBackend, streamId: string, error: unknown): void;
}

/** The server chart over the drivers. */
export function provideServer(registry: Registry, observer: ServerObserver) {
  const { logger } = registry;
  return serverMachine.provide({
    actors: {
      process: processActor(registry),
      verify: verifyActor(registry),
      health: healthMachine.provide({ actors: { probe: probeActor(registry) } }),
      backoff: backoffMachine.provide({ delays: { wait: ({ context }) => registry.backoffDelay(context) } }),
      group: groupMachine.provide({ actors: { child: provideStream(registry) as never } }),
    },
    actions: {
      announce: guarded(logger, 'announce', ({ context, self }) => registry.backend(context.backendId).bind(self)),
      reportState: guarded(logger, 'reportState', ({ context, event }, { state }) => {
        const backend = registry.backend(context.backendId);
        const change = backend.changed(
          state as LifecycleState,
          reasonOf(event, context.lastFailure),
          context.lastFailure,
        );
        observer.stateChanged(backend, change);
      }),
      reportStreamCrash: guarded(logger, 'reportStreamCrash', ({ context }, { streamId, error }) =>
        observer.streamCrashed(registry.backend(context.backendId), streamId, error),
      ),
    },
  });
}

/** Owns one process life: acquires and releases it, in this actor and in the backend's scope. */
function processActor(registry: Registry) {
  return fromCallback<AnyEventObject, LifeSubject>(({ input, sendBack, receive }) => {
    const backend = registry.backend(input.backendId);
    let isCurrent = true;
    const tell = (event: ServerEvent) => {
      if (!isCurrent) return;
      isCurrent = event.type !== 'process.ended';
      if (!isCurrent) backend.lifeOver();
      sendBack(event);
    };
    const life = backend.driver.launch(input.generation, lifeObserver(registry, backend, tell));
    const release = backend.scope.defer(() => life.release());
    receive((command) => (command.type === 'process.kill' ? life.kill() : life.stop()));
    return () => {
      if (isCurrent) backend.lifeOver();
      isCurrent = false;
      void release();
    };
  });
}

function lifeObserver(registry: Registry, { id }: ServerBackend, tell: (event: ServerEvent) => void): LifeObserver {
  const { clock } = registry;
  return {
    prepared: (port) => tell({ type: 'process.prepared', at: clock.now(), port }),
    spawned: (pid) => tell({ type: 'process.spawned', at: clock.now(), pid }),
    listening: (port) => tell({ type: 'process.listening', at: clock.now(), port }),
    ended: ({ survivors, ...end }) => {
      if (survivors.length > 0) registry.warn(leftRunning(id, survivors));
      tell({ type: 'process.ended', at: clock.now(), ...end });
    },
  };
}

function leftRunning(backend: string, survivors: readonly number[]): SupervisorEvents['warning'] {
  const message = `Processes of ${backend} could not be ended: ${survivors.join(', ')}. End them by hand.`;
  return { code: 'ERR_INTERNAL', message, backend };
}

function verifyActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<ServerEvent, LifeSubject>(registry, async ({ backendId }, { signal, tell }) => {
    try {
      const { version } = await registry.backend(backendId).driver.verify(signal);
      tell({ type: 'verify.passed', at: clock.now(), version });
    } catch (error) {
      tell({ type: 'verify.failed', at: clock.now(), failure: toFailure(error, 'ERR_PROTOCOL') });
    }
  });
}

/** Recent traffic is proof of life, and saves the question: a busy server may be slow to answer it. */
function probeActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<ProbeReport, ProbeInput>(
    registry,
    async ({ backendId, asked, timeoutMs }, { signal, tell }) => {
      const { driver, definition } = registry.backend(backendId);
      const silentForMs = clock.now() - driver.lastSeenAt();
      const isAlive = !asked && silentForMs < definition.settings.server.health.intervalMs;
      try {
        if (!isAlive) await withLimit(clock, timeoutMs, signal, (limited) => driver.probe(limited));
        tell({ type: 'probe.passed', at: clock.now() });
      } catch (error) {
        tell({ type: 'probe.failed', at: clock.now(), reason: messageOf(error) });
      }
      if (asked) registry.backend(backendId).checked();
    },
  );
}
