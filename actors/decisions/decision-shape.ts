import type { PermissionRequest, QuestionRequest } from '../contract/events.ts';

const OUTCOMES: ReadonlySet<unknown> = new Set([
  'allow_once',
  'allow_always',
  'reject_once',
  'reject_always',
  'cancelled',
]);
const ACTIONS: ReadonlySet<unknown> = new Set(['accept', 'decline', 'cancel']);

/** Whether a host's answer is one that fits the request. */
export function isDecisionFor(request: PermissionRequest | QuestionRequest, answer: unknown): boolean {
  if (typeof answer !== 'object' || answer === null) return false;
  const fields = answer as Readonly<Record<string, unknown>>;
  if (request.type === 'permission') return OUTCOMES.has(fields['outcome']) && isOptionalText(fields['message']);
  if (!ACTIONS.has(fields['action'])) return false;
  return fields['action'] !== 'accept' || isAnswerList(fields['answers'], request.questions.length);
}

const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === 'string';

function isAnswerList(answers: unknown, questions: number): boolean {
  if (!Array.isArray(answers) || answers.length !== questions) return false;
  return answers.every((labels) => Array.isArray(labels) && labels.every((label) => typeof label === 'string'));
}
