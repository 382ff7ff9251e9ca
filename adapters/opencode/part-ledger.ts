/** What is new, and how much of what was told before is void. */
export interface LedgerEntry {
  readonly text: string;
  /** Characters at the end of what was told of this kind that the agent took back. */
  readonly unsaid: number;
}

export type TextKind = 'text' | 'reasoning';

/** A part as it stands. `live`: seen on the connection, in order; otherwise asked for, and maybe already old. */
export interface PartSnapshot {
  readonly id: string;
  readonly kind: TextKind;
  readonly text: string;
  readonly done: boolean;
  readonly live: boolean;
}

interface Part {
  readonly kind: TextKind;
  /** What the agent said of this part so far, as far as it is known. */
  said: string;
  /** `done`: its text is whole. `void`: an abandoned attempt. `gapped`: deltas may be missing, wait for the whole text. */
  state: 'streaming' | 'gapped' | 'done' | 'void';
}

const NOTHING: LedgerEntry = { text: '', unsaid: 0 };

/**
 * Keeps, by part id, what was told of each text, so that nothing is told twice or lost: not when deltas are followed by
 * the whole text, not when the model's request is repeated, not when the connection had a gap.
 */
export class PartLedger {
  /** Every part of the turn; the texts of finished steps are forgotten. */
  readonly #parts = new Map<string, Part>();
  /** The ids of the current step, in order. */
  #step: string[] = [];
  /** What an abandoned attempt told and the next one is expected to repeat. */
  #replay: Record<TextKind, string> = { text: '', reasoning: '' };

  kindOf(partId: string): TextKind | undefined {
    return this.#parts.get(partId)?.kind;
  }

  /** A delta of a known part that has no gap. */
  delta(partId: string, delta: string): LedgerEntry {
    const part = this.#parts.get(partId);
    return part?.state === 'streaming' ? this.#tell(part, delta) : NOTHING;
  }

  /** The whole text of a part: tells what of it was not told yet. */
  snapshot(snapshot: PartSnapshot): LedgerEntry {
    const part = this.#parts.get(snapshot.id) ?? this.#begin(snapshot);
    if (part.state === 'done' || part.state === 'void') return NOTHING;
    if (snapshot.done) part.state = 'done';
    return snapshot.text.startsWith(part.said) ? this.#tell(part, snapshot.text.slice(part.said.length)) : NOTHING;
  }

  /** Deltas may be missing from now on. */
  markGap(): void {
    for (const part of this.#parts.values()) if (part.state === 'streaming') part.state = 'gapped';
  }

  /** The model's request is repeated: the whole step is said again, in new parts. */
  repeatStep(): void {
    const replay: Record<TextKind, string> = { text: '', reasoning: '' };
    for (const id of this.#step) {
      const part = this.#parts.get(id);
      if (!part) continue;
      replay[part.kind] += part.said;
      part.state = 'void';
      part.said = '';
    }
    this.#step = [];
    this.#replay = { text: replay.text + this.#replay.text, reasoning: replay.reasoning + this.#replay.reasoning };
  }

  /** The step is complete. Returns how much of an abandoned attempt's text was not repeated. */
  endStep(): LedgerEntry {
    const unsaid = this.#replay.text.length;
    for (const id of this.#step) this.#forget(id);
    this.#step = [];
    this.#replay = { text: '', reasoning: '' };
    return { text: '', unsaid };
  }

  #begin({ id, kind, live, text }: PartSnapshot): Part {
    const part: Part = { kind, said: '', state: live && text === '' ? 'streaming' : 'gapped' };
    this.#parts.set(id, part);
    this.#step.push(id);
    return part;
  }

  #forget(id: string): void {
    const part = this.#parts.get(id);
    if (!part) return;
    part.said = '';
    if (part.state !== 'void') part.state = 'done';
  }

  /** Tells the text but for what an abandoned attempt told already. */
  #tell(part: Part, text: string): LedgerEntry {
    part.said += text;
    const expected = this.#replay[part.kind];
    if (expected === '' || text === '') return { text, unsaid: 0 };
    const same = commonPrefix(expected, text);
    const rest = expected.slice(same);
    this.#replay[part.kind] = same === text.length ? rest : '';
    return same === text.length ? NOTHING : { text: text.slice(same), unsaid: rest.length };
  }
}

function commonPrefix(a: string, b: string): number {
  const limit = Math.min(a.length, b.length);
  for (let index = 0; index < limit; index += 1) if (a.charCodeAt(index) !== b.charCodeAt(index)) return index;
  return limit;
}
