import type { AgentEvent, PermissionRequest } from '../contract/events.ts';
import type { DecisionAsk } from '../ports.ts';
import type { Decision, DecisionRequest } from './decision-desk.ts';

type Naming = Omit<
  PermissionRequest,
  'type' | 'title' | 'permission' | 'patterns' | 'options' | 'toolCallId' | 'metadata'
>;

/** The request as the host sees it. */
export function requestOf(ask: DecisionAsk, naming: Naming): DecisionRequest {
  if (ask.type === 'question') return { ...naming, type: 'question', questions: ask.questions };
  return {
    ...naming,
    type: 'permission',
    title: ask.title,
    permission: ask.permission,
    patterns: ask.patterns,
    options: ask.options,
    ...(ask.toolCallId === undefined ? {} : { toolCallId: ask.toolCallId }),
    ...(ask.metadata === undefined ? {} : { metadata: ask.metadata }),
  };
}

/** The turn's event for a request, and again for its decision. */
export function decisionEvent(ask: DecisionAsk, request: DecisionRequest, decision?: Decision): AgentEvent {
  const origin = ask.origin ? { origin: ask.origin } : {};
  if (request.type === 'permission') return { type: 'permission', request, ...origin, ...permissionDecision(decision) };
  return { type: 'question', request, ...origin, ...questionAnswer(decision) };
}

function permissionDecision(decision: Decision | undefined) {
  return decision && 'outcome' in decision ? { decision } : {};
}

function questionAnswer(decision: Decision | undefined) {
  return decision && 'action' in decision ? { answer: decision } : {};
}
