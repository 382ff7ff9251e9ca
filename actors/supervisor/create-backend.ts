import type { ServerEvent } from '../../machines/life-types.ts';
import type { PoolEvent } from '../../machines/pool-machine.ts';
import { AgentBackend } from '../agent/agent-backend.ts';
import type { Backend } from '../backend/backend.ts';
import type { SupervisorEvents } from '../contract/supervisor.ts';
import type { BackendDefinition } from '../ports.ts';
import { Scope } from '../scope.ts';
import { ServerBackend } from '../server/server-backend.ts';
import type { SupervisorRuntime } from './runtime.ts';

/** The data plane of a backend, whatever it is made of. */
export function createBackend(id: string, definition: BackendDefinition, runtime: SupervisorRuntime): Backend {
  const { clock, logger, options } = runtime;
  const { stateDirectory, allowNested, pool: limits } = options;
  const warn = (warning: SupervisorEvents['warning']) => runtime.warn(warning);
  const environment = { backendId: id, clock, logger, warn, pool: limits, stateDirectory, allowNested };
  const scope = new Scope((error) => logger.error({ err: error, backend: id }, 'A resource could not be released.'));
  const command = (event: ServerEvent | PoolEvent) =>
    runtime.send({ type: 'backend.command', backendId: id, command: event });
  const common = { id, scope, clock, logger, command };
  if (definition.runs === 'server')
    return new ServerBackend({ ...common, definition, driver: definition.createDriver(environment) });
  const onRestored = runtime.reports.restored.bind(runtime.reports);
  const driver = definition.createDriver(environment);
  const { warmPool: pool } = runtime;
  return new AgentBackend({ ...common, definition, driver, pool, admitTimeoutMs: options.openTimeoutMs, onRestored });
}
