import type { AgentEvent, DecisionAsk } from '../../actors/ports.ts';
import type { DecodedPermission, DecodedQuestion, DecodedTool, DecodedUsage } from './decode-parts.ts';

type Tool = Extract<AgentEvent, { type: 'tool' }>['tool'];
type PlanEntry = Extract<AgentEvent, { type: 'plan' }>['entries'][number];
type Origin = { readonly subagentSessionId: string } | undefined;

/** The finish reasons of the AI SDK in the words of the Agent Client Protocol; what has no such word stays as it is. */
const STOP_REASONS: Readonly<Record<string, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  'content-filter': 'refusal',
};

export const stopReasonOf = (finish: string): string => STOP_REASONS[finish] ?? finish;

export function toolCallOf(tool: DecodedTool): Tool {
  return {
    id: tool.callId,
    name: tool.name,
    status: tool.status === 'error' ? 'failed' : tool.status,
    ...(tool.title === undefined ? {} : { title: tool.title }),
    ...(tool.input === undefined ? {} : { input: tool.input }),
    ...(tool.output === undefined ? {} : { output: tool.output }),
    ...(tool.error === undefined ? {} : { error: tool.error }),
  };
}

/** The sum over the steps of a turn. */
export function usageEvent(steps: readonly DecodedUsage[]): AgentEvent {
  const sum = (read: (step: DecodedUsage) => number): number => steps.reduce((total, step) => total + read(step), 0);
  return {
    type: 'usage',
    usage: {
      inputTokens: sum((step) => step.input),
      outputTokens: sum((step) => step.output),
      reasoningTokens: sum((step) => step.reasoning),
      cacheReadTokens: sum((step) => step.cacheRead),
      cacheWriteTokens: sum((step) => step.cacheWrite),
      totalTokens: sum((step) => step.input + step.output + step.reasoning + step.cacheRead + step.cacheWrite),
      cost: sum((step) => step.cost),
    },
  };
}

export function planEvent(todos: readonly { content: string; status: string; priority: string }[]): AgentEvent {
  return { type: 'plan', entries: todos.map(planEntry) };
}

function planEntry({ content, status, priority }: { content: string; status: string; priority: string }): PlanEntry {
  const known = status === 'in_progress' || status === 'completed' || status === 'cancelled';
  const ranked = priority === 'high' || priority === 'low' ? priority : 'medium';
  return { content, status: known ? status : 'pending', priority: ranked };
}

export function askOfPermission(permission: DecodedPermission, origin: Origin): DecisionAsk {
  return {
    type: 'permission',
    id: permission.id,
    title: [permission.permission, ...permission.patterns].join(' · '),
    permission: permission.permission,
    patterns: permission.patterns,
    options: ['allow_once', 'allow_always', 'reject_once'],
    ...(permission.callId === undefined ? {} : { toolCallId: permission.callId }),
    ...(permission.metadata === undefined ? {} : { metadata: permission.metadata }),
    ...(origin ? { origin } : {}),
  };
}

export function askOfQuestion(question: DecodedQuestion, origin: Origin): DecisionAsk {
  return { type: 'question', id: question.id, questions: question.questions, ...(origin ? { origin } : {}) };
}
