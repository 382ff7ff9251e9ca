import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is cut: nobody reads it, and it must not fill the memory. */
const MAX_LINE_LENGTH = 64 * 1024;

/** Reads a stream to its end, whatever is done with it, so that the child never blocks on a full pipe. */
export function drain(stream: Readable | null | undefined, onText: (text: string) => void): void {
  if (!stream) return;
  const decoder = new StringDecoder('utf8');
  stream.on('data', (chunk: Buffer) => onText(decoder.write(chunk)));
  stream.on('error', () => undefined); // A broken pipe of a dying child; its exit is reported elsewhere.
}

/** Cuts text into lines, however the chunks fall. */
export function lineSplitter(onLine: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split(/\r?\n/);
    rest = (lines.pop() ?? '').slice(-MAX_LINE_LENGTH);
    for (const line of lines) onLine(line);
  };
}

/** Keeps the last `maxLength` characters of what was written. */
export class TextRing {
  readonly #maxLength: number;
  #text = '';

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  write(text: string): void {
    this.#text = (this.#text + text).slice(-this.#maxLength);
  }

  tail(length: number): string {
    return this.#text.slice(-length);
  }
}
