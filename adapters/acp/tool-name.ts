import { type JsonFields, record, text } from '../json.ts';

/** What a tool is called. Not all agents say it where the protocol has a place for it. */
export function toolName(update: JsonFields): string | undefined {
  const meta = record(update['_meta']);
  const goose = record(record(meta['goose'])['toolCall']);
  return (
    text(update['name']) ??
    text(meta['toolName']) ?? // [qwen]
    text(goose['toolName']) // [goose]
  );
}
