import type { DecisionAsk, PermissionDecision } from '../../actors/ports.ts';
import { type JsonFields, list, present, record, text } from '../json.ts';

type Kind = Exclude<PermissionDecision['outcome'], 'cancelled'>;

/** What the agent reads as the answer. */
export type PermissionAnswer =
  | { readonly outcome: { readonly outcome: 'cancelled' } }
  | { readonly outcome: { readonly outcome: 'selected'; readonly optionId: string } };

export const CANCELLED: PermissionAnswer = { outcome: { outcome: 'cancelled' } };

/** What is selected where the agent offers no option of the kind: never more than was decided. */
const FALLBACK: Readonly<Record<Kind, readonly Kind[]>> = {
  allow_once: ['allow_once'],
  allow_always: ['allow_always', 'allow_once'],
  reject_once: ['reject_once', 'reject_always'],
  reject_always: ['reject_always', 'reject_once'],
};

const isKind = (kind: string | undefined): kind is Kind => kind !== undefined && Object.hasOwn(FALLBACK, kind);

/** An agent's request as a host sees it. */
export function permissionAsk(id: string, params: JsonFields): DecisionAsk {
  const tool = record(params['toolCall']);
  const kinds = list(params['options']).map((option) => text(record(option)['kind']));
  const locations = list(tool['locations']).map((location) => text(record(location)['path']));
  return {
    type: 'permission',
    id,
    title: text(tool['title']) ?? 'The agent asks for permission',
    permission: text(tool['kind']) ?? 'unknown',
    patterns: locations.filter((path) => path !== undefined),
    options: [...new Set(kinds.filter(isKind))],
    ...present('toolCallId', text(tool['toolCallId'])),
    ...(tool['rawInput'] === undefined ? {} : { metadata: tool['rawInput'] }),
  };
}

/** Options are selected by their kind, never by their position. Without a fitting one nothing is selected. */
export function permissionAnswer(params: JsonFields, { outcome }: PermissionDecision): PermissionAnswer {
  if (outcome === 'cancelled') return CANCELLED;
  const options = list(params['options']).map(record);
  for (const kind of FALLBACK[outcome]) {
    const optionId = text(options.find((option) => option['kind'] === kind)?.['optionId']);
    if (optionId !== undefined) return { outcome: { outcome: 'selected', optionId } };
  }
  return CANCELLED;
}
