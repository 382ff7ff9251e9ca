import { backoffMachine } from '../../machines/backoff-machine.ts';
import { groupMachine } from '../../machines/group-machine.ts';
import { healthMachine } from '../../machines/health-machine.ts';
import { serverMachine } from '../../machines/server-machine.ts';
import type { ServerEvent, LifeSubject } from '../../machines/life-setup.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { lifeObserver, probeActor, processActor } from '../backend/life-actors.ts';
import type { LifecycleState } from '../contract/status.ts';
import { toFailure } from '../errors.ts';
import { guarded } from '../guarded.ts';
import type { LifeObserver } from '../ports.ts';
import type { Registry } from '../registry.ts';
import { provideStream, type StreamObserver } from '../stream/stream-implementation.ts';
import type { StateChange } from '../backend/life-runtime.ts';
import type { ServerBackend } from './server-backend.ts';
import { reasonOf } from '../backend/transition-reason.ts';

/** What the composition wants to hear of a server. */
export interface ServerObserver extends StreamObserver {
  stateChanged(backend: ServerBackend, change: StateChange): void;
  streamCrashed(backend: ServerBackend, streamId: string, error: unknown): void;
}

/** The server chart over the drivers. */
export function provideServer(registry: Registry, observer: ServerObserver) {
  const { logger } = registry;
  return serverMachine.provide({
    actors: {
      process: processActor(({ backendId }) => ({
        life: registry.server(backendId),
        launch: (generation, tell) => {
          const { clock } = registry;
          const observer: LifeObserver = {
            ...lifeObserver(registry, backendId, tell),
            prepared: (port) => tell({ type: 'process.prepared', at: clock.now(), port }),
            listening: (port) => tell({ type: 'process.listening', at: clock.now(), port }),
          };
          return registry.server(backendId).driver.launch(generation, observer);
        },
      })),
      verify: verifyActor(registry),
      health: healthMachine.provide({
        actors: {
          probe: probeActor(registry, ({ backendId }) => {
            const life = registry.server(backendId);
            const { driver, definition } = life;
            return {
              life,
              intervalMs: definition.settings.server.health.intervalMs,
              lastSeenAt: () => driver.lastSeenAt(),
              probe: (signal) => driver.probe(signal),
            };
          }),
        },
      }),
      backoff: backoffMachine.provide({ delays: { wait: ({ context }) => registry.backoffDelay(context) } }),
      group: groupMachine.provide({ actors: { child: provideStream(registry, observer) as never } }),
    },
    actions: {
      announce: guarded(logger, 'announce', ({ context, self }) => registry.server(context.backendId).bind(self)),
      reportState: guarded(logger, 'reportState', ({ context, event }, { state }) => {
        const backend = registry.server(context.backendId);
        const change = backend.changed(
          state as LifecycleState,
          reasonOf(event, context.lastFailure),
          context.lastFailure,
        );
        observer.stateChanged(backend, change);
      }),
      reportStreamCrash: guarded(logger, 'reportStreamCrash', ({ context }, { streamId, error }) =>
        observer.streamCrashed(registry.server(context.backendId), streamId, error),
      ),
    },
  });
}

function verifyActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<ServerEvent, LifeSubject>(registry, async ({ backendId }, { signal, tell }) => {
    try {
      const { version } = await registry.server(backendId).driver.verify(signal);
      tell({ type: 'verify.passed', at: clock.now(), version });
    } catch (error) {
      tell({ type: 'verify.failed', at: clock.now(), failure: toFailure(error, 'ERR_PROTOCOL') });
    }
  });
}
