import { instanceStatus, placeOf } from '../backend/life-status.ts';
import type { BackendStatus, InstanceStatus, LifecycleState } from '../contract/status.ts';
import type { AgentBackend } from './agent-backend.ts';
import type { AgentRuntime } from './agent-runtime.ts';

/** From the best to the worst. */
const RANKING: readonly LifecycleState[] = [
  'healthy',
  'unhealthy',
  'recovering',
  'starting',
  'stopping',
  'failed',
  'idle',
];

/** What state several processes are in together: that of the best. */
export function bestState(agents: readonly AgentRuntime[]): LifecycleState {
  return RANKING.find((state) => agents.some((agent) => agent.state === state)) ?? 'idle';
}

/** A pool as plain JSON. */
export function poolStatus(backend: AgentBackend): BackendStatus {
  const { agents, definition, state } = backend;
  const best = agents.find((agent) => agent.state === state);
  const known = agents.filter(({ place, lastError }) => place !== undefined || lastError !== undefined);
  const instances = known.map(statusOf);
  const errors = instances.flatMap(({ lastError }) => (lastError ? [lastError] : []));
  const lastError = errors.sort((a, b) => a.at.localeCompare(b.at)).at(-1);
  const [only] = known.length === 1 ? known : [];
  return {
    id: backend.id,
    kind: definition.kind,
    mode: definition.mode,
    state,
    detail: best?.detail ?? 'idle',
    since: new Date(best?.since ?? 0).toISOString(),
    restarts: instances.reduce((total, { restarts }) => total + restarts, 0),
    busy: agents.some(({ turns }) => turns > 0),
    consecutiveFailures: Math.max(0, ...agents.map((agent) => agent.actor?.getSnapshot().context.failures ?? 0)),
    sessions: backend.sessions.size,
    ...placeOf(only?.actor?.getSnapshot().context),
    instances,
    ...(lastError ? { lastError } : {}),
  };
}

function statusOf(agent: AgentRuntime): InstanceStatus {
  const [session] = agent.slots.size === 1 ? agent.sessions : [];
  return {
    ...instanceStatus(agent),
    directory: agent.directory,
    ...(session ? { chatId: session.settings.chatId } : {}),
  };
}
