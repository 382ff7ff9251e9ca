const LINE_FEED = 0x0a;

export interface LineDecoderOptions {
  /** A longer line is not kept, in bytes. */
  readonly maxLineBytes: number;
  readonly onLine: (line: string) => void;
  /** A line was too long. Called once for each. */
  readonly onOverflow: () => void;
}

/** Cuts bytes into lines, wherever chunks, characters and line ends fall. */
export class LineDecoder {
  readonly #options: LineDecoderOptions;
  #parts: Buffer[] = [];
  #length = 0;
  #isOverflowing = false;

  constructor(options: LineDecoderOptions) {
    this.#options = options;
  }

  write(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      if (this.#length === 0 && end - start <= this.#options.maxLineBytes) {
        this.#options.onLine(chunk.toString('utf8', start, end)); // Most lines are whole, and need no copy.
      } else {
        this.#keep(chunk.subarray(start, end));
        this.#endLine();
      }
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length <= this.#options.maxLineBytes) {
      this.#parts.push(part);
      return;
    }
    this.#parts = [];
    if (!this.#isOverflowing) this.#options.onOverflow();
    this.#isOverflowing = true;
  }

  #endLine(): void {
    const parts = this.#parts;
    const isWhole = !this.#isOverflowing;
    this.#parts = [];
    this.#length = 0;
    this.#isOverflowing = false;
    if (isWhole) this.#options.onLine(Buffer.concat(parts).toString('utf8'));
  }
}
