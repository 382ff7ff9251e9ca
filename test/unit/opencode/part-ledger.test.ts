import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PartLedger } from '../../../adapters/opencode/part-ledger.ts';

/** What a host would have, from everything that the ledger told it. */
class Host {
  text = '';
  readonly ledger = new PartLedger();

  part(id: string, text: string, { done = false, live = true } = {}): void {
    this.#take(this.ledger.snapshot({ id, kind: 'text', text, done, live }));
  }

  delta(id: string, delta: string): void {
    this.#take(this.ledger.delta(id, delta));
  }

  endStep(): void {
    this.#take(this.ledger.endStep());
  }

  #take({ text, unsaid }: { text: string; unsaid: number }): void {
    this.text = this.text.slice(0, this.text.length - unsaid) + text;
  }
}

describe('what is told of a text', () => {
  it('is its deltas, and nothing more when the whole text follows', () => {
    const host = new Host();
    host.part('p', '');
    host.delta('p', 'Hel');
    host.delta('p', 'lo');
    host.part('p', 'Hello', { done: true });
    expect(host.text).toBe('Hello');
  });

  it('is the whole text where no delta came', () => {
    const host = new Host();
    host.part('p', 'Hello', { done: true });
    expect(host.text).toBe('Hello');
  });

  it('has no hole and nothing twice when deltas were lost in a gap', () => {
    const host = new Host();
    host.part('p', '');
    host.delta('p', 'one ');
    host.ledger.markGap();
    host.delta('p', 'three ');
    host.part('p', 'one two three four', { done: true });
    expect(host.text).toBe('one two three four');
  });

  it('waits for the whole text of a part that began while nobody listened', () => {
    const host = new Host();
    host.part('p', 'one ', { live: false });
    host.delta('p', 'three ');
    expect(host.text).toBe('one ');
    host.part('p', 'one two three', { done: true });
    expect(host.text).toBe('one two three');
  });

  it('is not told again when a finished step, or an abandoned attempt, is listed once more', () => {
    const host = new Host();
    host.part('void', 'Half a');
    host.ledger.repeatStep();
    host.part('p', 'Half a loaf', { done: true });
    host.endStep();
    host.part('void', 'Half a', { live: false, done: true });
    host.part('p', 'Half a loaf', { live: false, done: true });
    expect(host.text).toBe('Half a loaf');
  });

  it('ignores deltas of a part that it does not know', () => {
    const host = new Host();
    host.delta('p', 'lost');
    expect(host.text).toBe('');
  });

  it('is not told twice when the model’s request is repeated', () => {
    const host = new Host();
    host.part('p1', '');
    host.delta('p1', 'Partial');
    host.ledger.repeatStep();
    host.part('p2', '');
    host.delta('p2', 'Part');
    host.delta('p2', 'ial Hello');
    host.part('p2', 'Partial Hello', { done: true });
    host.endStep();
    expect(host.text).toBe('Partial Hello');
  });

  it('is taken back where the repetition says something else, or less', () => {
    const other = new Host();
    other.part('p1', '');
    other.delta('p1', 'I think so');
    other.ledger.repeatStep();
    other.part('p2', 'I doubt it', { done: true });
    other.endStep();
    expect(other.text).toBe('I doubt it');
    const less = new Host();
    less.part('p1', '');
    less.delta('p1', 'Yes, and more');
    less.ledger.repeatStep();
    less.part('p2', 'Yes', { done: true });
    less.endStep();
    expect(less.text).toBe('Yes');
  });

  it('survives a second repetition', () => {
    const host = new Host();
    host.part('p1', '');
    host.delta('p1', 'abcdef');
    host.ledger.repeatStep();
    host.part('p2', '');
    host.delta('p2', 'abc');
    host.ledger.repeatStep();
    host.part('p3', 'abcdefghi', { done: true });
    host.endStep();
    expect(host.text).toBe('abcdefghi');
  });

  it('is the text of the last attempt, however chunks, gaps and repetitions fall', () => {
    const attempt = fc.record({
      text: fc.string({ maxLength: 30 }),
      cuts: fc.array(fc.nat(30), { maxLength: 4 }),
      gapAt: fc.option(fc.nat(4), { nil: undefined }),
      stopsAfter: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(attempt, { minLength: 1, maxLength: 4 }), (attempts) => {
        const host = new Host();
        attempts.forEach(({ text, cuts, gapAt, stopsAfter }, index) => {
          const isLast = index === attempts.length - 1;
          const id = `part-${index}`;
          host.part(id, '');
          chunksOf(text, cuts)
            .slice(0, isLast ? undefined : stopsAfter)
            .forEach((chunk, position) => {
              if (position === gapAt) host.ledger.markGap();
              host.delta(id, chunk);
            });
          if (isLast) host.part(id, text, { done: true });
          else host.ledger.repeatStep();
        });
        host.endStep();
        expect(host.text).toBe(attempts.at(-1)?.text);
      }),
      { numRuns: 2_000 },
    );
  });
});

function chunksOf(text: string, cuts: readonly number[]): string[] {
  const places = [0, ...[...cuts].sort((a, b) => a - b).map((cut) => Math.min(cut, text.length)), text.length];
  return places.slice(1).map((end, index) => text.slice(places[index], end));
}
