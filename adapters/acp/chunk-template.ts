import { type JsonFields, record, text } from '../json.ts';

/** What stands directly before the text of a chunk, as most agents write it. */
const OPENING = '"content":{"type":"text","text":"';
/** Characters that do not stand for themselves inside a JSON string. */
const SPECIAL = /["\\\p{Cc}]/u;

interface Template {
  /** Everything before the text, and everything after it. */
  readonly head: string;
  readonly tail: string;
  readonly message: JsonFields;
}

/**
 * Most of what an agent says are lines that differ in their text alone. One that is like the last but for a text of plain
 * characters is read without parsing all of it again; the result is what `JSON.parse` would make of it.
 */
export class ChunkTemplate {
  #known: Template | undefined;

  /** The message of a line that is like the last one. */
  read(line: string): JsonFields | undefined {
    const known = this.#known;
    if (!known || !line.startsWith(known.head) || !line.endsWith(known.tail)) return undefined;
    const end = line.length - known.tail.length;
    if (end < known.head.length) return undefined;
    const said = line.slice(known.head.length, end);
    return SPECIAL.test(said) ? undefined : withText(known.message, said);
  }

  /** Remembers a line that was parsed, if it is a chunk whose text can be told from the rest beyond doubt. */
  learn(line: string, message: JsonFields): void {
    const opening = line.indexOf(OPENING);
    if (opening < 0 || line.indexOf('"content"') !== line.lastIndexOf('"content"')) return;
    const said = text(contentOf(message)['text']);
    const start = opening + OPENING.length;
    if (said === undefined || SPECIAL.test(said) || !line.startsWith(`${said}"`, start)) return;
    this.#known = { head: line.slice(0, start), tail: line.slice(start + said.length), message };
  }
}

const contentOf = (message: JsonFields): JsonFields => record(record(record(message['params'])['update'])['content']);

function withText(message: JsonFields, said: string): JsonFields {
  const params = record(message['params']);
  const update = record(params['update']);
  const content = { ...record(update['content']), text: said };
  return { ...message, params: { ...params, update: { ...update, content } } };
}
