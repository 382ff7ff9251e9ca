import { type JsonFields, record, text } from '../json.ts';

/** What stands directly before the text of a chunk, as most agents write it. */
const OPENING = '"content":{"type":"text","text":"';
/** Characters that do not stand for themselves inside a JSON string. */
const SPECIAL = /["\\\p{Cc}]/u;

interface Template {
  /** Everything before the text, and everything after it. */
  readonly head: string;
  readonly tail: string;
  readonly chunk: Chunk;
  readonly content: JsonFields;
}

/** An update, and whose it is. */
export interface Chunk {
  readonly sessionId: string;
  readonly update: JsonFields;
}

/**
 * Most of what an agent says are lines that differ in their text alone. One that is like the last but for a text of plain
 * characters is read without parsing all of it again; the result is what `JSON.parse` would make of it.
 */
export class ChunkTemplate {
  #known: Template | undefined;

  /** The update of a line that is like the last one. */
  read(line: string): Chunk | undefined {
    const known = this.#known;
    if (!known || !line.startsWith(known.head) || !line.endsWith(known.tail)) return undefined;
    const end = line.length - known.tail.length;
    if (end < known.head.length) return undefined;
    const said = line.slice(known.head.length, end);
    if (SPECIAL.test(said)) return undefined;
    const { sessionId, update } = known.chunk;
    return { sessionId, update: { ...update, content: { ...known.content, text: said } } };
  }

  /** Remembers a line that was parsed, if it is a chunk whose text can be told from the rest beyond doubt. */
  learn(line: string, chunk: Chunk): void {
    const opening = line.indexOf(OPENING);
    if (opening < 0 || line.indexOf('"content"') !== line.lastIndexOf('"content"')) return;
    const content = record(chunk.update['content']);
    const said = text(content['text']);
    const start = opening + OPENING.length;
    if (said === undefined || SPECIAL.test(said) || !line.startsWith(`${said}"`, start)) return;
    this.#known = { head: line.slice(0, start), tail: line.slice(start + said.length), chunk, content };
  }
}
