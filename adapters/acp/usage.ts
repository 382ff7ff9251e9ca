import type { SessionMetadata, Usage } from '../../actors/ports.ts';
import { type JsonFields, number, present, record } from '../json.ts';

/** What is in the model's context, as an update of the session tells. */
export function contextOf(update: JsonFields): SessionMetadata['context'] {
  const tokens = number(update['used']);
  return tokens === undefined ? undefined : { tokens, ...present('maxTokens', number(update['size'])) };
}

/** Tokens in the protocol's own words. */
export function usageOf(usage: JsonFields): Usage | undefined {
  const tokens: Usage = {
    ...present('inputTokens', number(usage['inputTokens'])),
    ...present('outputTokens', number(usage['outputTokens'])),
    ...present('reasoningTokens', number(usage['thoughtTokens'])),
    ...present('cacheReadTokens', number(usage['cachedReadTokens'])),
    ...present('cacheWriteTokens', number(usage['cachedWriteTokens'])),
    ...present('totalTokens', number(usage['totalTokens'])),
  };
  return Object.keys(tokens).length > 0 ? tokens : undefined;
}

/** [qwen] It tells the tokens of each step beside an empty chunk of its answer, and none with the answer to the prompt. */
export const usageBeside = (update: JsonFields): Usage | undefined => usageOf(record(record(update['_meta'])['usage']));

/** Several steps of one turn. */
export function sum(a: Usage, b: Usage): Usage {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof Usage>;
  return Object.fromEntries([...names].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}
