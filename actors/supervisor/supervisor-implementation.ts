import { groupMachine } from '../../machines/group-machine.ts';
import { supervisorMachine } from '../../machines/supervisor-machine.ts';
import { type PoolObserver, providePool } from '../agent/agent-implementation.ts';
import { provideExternal, provideServer, type ServerObserver } from '../server/server-implementation.ts';
import { guarded } from '../guarded.ts';
import type { Registry } from '../registry.ts';
import { provideTurn } from '../turn/turn-implementation.ts';

/** What the composition does when the root chart tells it something. */
export interface RootObserver extends ServerObserver, PoolObserver {
  crashed(actorId: string, error: unknown): void;
  turnGone(childId: string, error: unknown): void;
  abandoned(backendId: string): void;
  supervisorChanged(state: string): void;
}

/** The root chart over everything else. */
export function provideSupervisor(registry: Registry, observer: RootObserver) {
  const { logger } = registry;
  return supervisorMachine.provide({
    actors: {
      server: provideServer(registry, observer),
      external: provideExternal(registry, observer),
      pool: providePool(registry, observer),
      group: groupMachine.provide({ actors: { child: provideTurn(registry) as never } }),
    },
    actions: {
      reportCrash: guarded(logger, 'reportCrash', (_, { actorId, error }) => observer.crashed(actorId, error)),
      reportTurnGone: guarded(logger, 'reportTurnGone', (_, { childId, error }) => observer.turnGone(childId, error)),
      reportAbandoned: guarded(logger, 'reportAbandoned', (_, { backendId }) => observer.abandoned(backendId)),
      reportState: guarded(logger, 'reportState', (_, { state }) => observer.supervisorChanged(state)),
    },
  });
}
