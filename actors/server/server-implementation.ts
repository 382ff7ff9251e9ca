import { backoffMachine } from '../../machines/backoff-machine.ts';
import { externalMachine } from '../../machines/external-machine.ts';
import { groupMachine } from '../../machines/group-machine.ts';
import { healthMachine } from '../../machines/health-machine.ts';
import type { LifeContext, LifeSubject, ServerEvent } from '../../machines/life-types.ts';
import { serverMachine } from '../../machines/server-machine.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { lifeObserver, probeActor, processActor } from '../backend/life-actors.ts';
import type { LifeActor, StateChange } from '../backend/life-runtime.ts';
import { reasonOf } from '../backend/transition-reason.ts';
import type { LifecycleState } from '../contract/status.ts';
import { messageOf, toFailure } from '../errors.ts';
import { guarded } from '../guarded.ts';
import type { LifeObserver } from '../ports.ts';
import type { Registry } from '../registry.ts';
import { provideStream, type StreamObserver } from '../stream/stream-implementation.ts';
import { recoveryActors, type TakenStep, takenStep } from './recovery-actors.ts';
import type { ServerBackend } from './server-backend.ts';

/** What the composition wants to hear of a server. */
export interface ServerObserver extends StreamObserver {
  stateChanged(backend: ServerBackend, change: StateChange): void;
  streamCrashed(backend: ServerBackend, streamId: string, error: unknown): void;
  stepTaken(backend: ServerBackend, taken: TakenStep): void;
}

/** The chart of a server of ours over the drivers. */
export function provideServer(registry: Registry, observer: ServerObserver) {
  return serverMachine.provide(implementations(registry, observer));
}

/** The chart of a server that others run. */
export function provideExternal(registry: Registry, observer: ServerObserver) {
  return externalMachine.provide(implementations(registry, observer));
}

function implementations(registry: Registry, observer: ServerObserver) {
  return {
    actors: {
      process: processActor(({ backendId }) => ({
        life: registry.server(backendId),
        launch: (generation, tell) => {
          const { clock } = registry;
          const observer: LifeObserver = {
            ...lifeObserver(registry, backendId, tell),
            prepared: (port, configId) => tell({ type: 'process.prepared', at: clock.now(), port, configId }),
            listening: (port) => tell({ type: 'process.listening', at: clock.now(), port }),
          };
          return registry.server(backendId).driver.launch(generation, observer);
        },
      })),
      verify: verifyActor(registry),
      modelLimits: modelLimitsActor(registry),
      ...recoveryActors(registry),
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
    actions: serverActions(registry, observer),
  };
}

interface Acting {
  readonly context: LifeContext;
  readonly event: { readonly type: string };
  readonly self: LifeActor;
}

function serverActions(registry: Registry, observer: ServerObserver) {
  const { logger } = registry;
  const safely = <P>(name: string, act: (backend: ServerBackend, acting: Acting, params: P) => void) =>
    guarded(logger, name, (acting: Acting, params: P) =>
      act(registry.server(acting.context.backendId), acting, params),
    );
  return {
    announce: safely('announce', (backend, { self }) => backend.bind(self)),
    reportState: safely('reportState', (backend, { context, event }, { state }: { state: string }) => {
      const { lastFailure } = context;
      const change = backend.changed(state as LifecycleState, reasonOf(event, lastFailure), lastFailure);
      observer.stateChanged(backend, change);
    }),
    reportStep: safely('reportStep', (backend, { context }, { outcome }: { outcome: TakenStep['outcome'] }) => {
      const { activeStep: step, lastFailure: failure } = context;
      if (step === null) return;
      const why = failure === null ? '' : `: ${failure.code}: ${failure.message}`;
      backend.remember({ from: backend.state, to: backend.state, reason: `${step} ${outcome}${why}` });
      observer.stepTaken(backend, takenStep(backend, step, { outcome, failure }));
    }),
    reportProven: safely('reportProven', (backend) => {
      backend.driver.recovery?.proven().catch((error: unknown) => {
        const message = `What works could not be kept to go back to it: ${messageOf(error)}`;
        registry.warn({ code: 'ERR_STORE', message, backend: backend.id });
      });
    }),
    endLife: safely('endLife', (backend) => backend.lifeOver()),
    reportStreamCrash: safely(
      'reportStreamCrash',
      (backend, _, { streamId, error }: { streamId: string; error: unknown }) =>
        observer.streamCrashed(backend, streamId, error),
    ),
  };
}

/** [opencode] How much the models can hold: good to know, and nothing else depends on it. */
function modelLimitsActor(registry: Registry) {
  return asynchronousActor<ServerEvent, LifeSubject>(registry, async ({ backendId }, { signal }) => {
    const backend = registry.server(backendId);
    if (backend.limitsOf === backend.generation) return;
    try {
      await backend.driver.loadLimits(signal);
      backend.limitsOf = backend.generation;
    } catch (error) {
      if (signal.aborted) return;
      const message = `How much the models can hold could not be learnt: ${messageOf(error)}`;
      registry.warn({ code: 'ERR_PROTOCOL', message, backend: backendId });
    }
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
