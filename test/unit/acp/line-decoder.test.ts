import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineDecoder } from '../../../adapters/acp/line-decoder.ts';

function decode(chunks: readonly Buffer[], maxLineBytes = 1_000): { lines: string[]; overflows: number } {
  const lines: string[] = [];
  let overflows = 0;
  const decoder = new LineDecoder({
    maxLineBytes,
    onLine: (line) => void lines.push(line),
    onOverflow: () => void (overflows += 1),
  });
  for (const chunk of chunks) decoder.write(chunk);
  return { lines, overflows };
}

describe('lines', () => {
  it('are the same however their bytes are cut, in the middle of a character, too', () => {
    const text = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }).map((line) => line.replaceAll('\n', '')));
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (lines, cuts) => {
        let bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const chunks: Buffer[] = [];
        for (const cut of cuts) {
          chunks.push(bytes.subarray(0, cut));
          bytes = bytes.subarray(cut);
        }
        expect(decode([...chunks, bytes]).lines).toEqual(lines);
      }),
    );
  });

  it('that are too long are told once and not kept, and the next one is whole', () => {
    const long = Buffer.from('x'.repeat(600));
    expect(decode([Buffer.from('a\n'), long, long, long, Buffer.from('\nb\n')])).toEqual({
      lines: ['a', 'b'],
      overflows: 1,
    });
  });

  it('that have no end yet are no lines', () => {
    expect(decode([Buffer.from('half of')]).lines).toEqual([]);
  });
});
