import { list, number, record, text } from '../json.ts';

/** Tokens that each model can hold, by `provider/model`. [opencode] As `GET /config/providers` tells. */
export function decodeLimits(answer: unknown): ReadonlyMap<string, number> {
  const limits = new Map<string, number>();
  for (const provider of list(record(answer)['providers']).map(record)) {
    for (const [key, model] of Object.entries(record(provider['models']))) {
      const context = number(record(record(model)['limit'])['context']);
      if (context !== undefined && context > 0) limits.set(`${text(provider['id']) ?? ''}/${key}`, context);
    }
  }
  return limits;
}
