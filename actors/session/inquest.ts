import { assess, type Evidence, NO_EVIDENCE, recordFact, type TurnFact } from '../../machines/policies/settlement.ts';
import type { AgentEvent } from '../contract/events.ts';
import type { TurnOutcome } from '../contract/session.ts';
import type { TurnSink } from '../ports.ts';

/** What is found out about a turn of an earlier host. */
export interface Finding {
  readonly outcome: TurnOutcome | 'not-accepted';
  readonly text: string;
  /** Somebody still works on it. */
  readonly isWorking: boolean;
}

/** Collects what a backend tells of a turn that nobody waits for any more, and judges it like any other: by evidence. */
export class Inquest implements TurnSink {
  #evidence: Evidence = NO_EVIDENCE;
  #text = '';

  get finding(): Finding {
    return { outcome: this.#outcome(), text: this.#text, isWorking: this.#evidence.began && !this.#evidence.quiet };
  }

  /** It could not be asked to the end: nothing is proved. */
  forget(): void {
    this.#evidence = NO_EVIDENCE;
  }

  fact(fact: TurnFact): void {
    this.#evidence = recordFact(this.#evidence, fact);
  }

  emit(event: AgentEvent): void {
    if (event.type === 'text' && !event.origin) this.#text += event.text;
  }

  unsay(characters: number): void {
    this.#text = this.#text.slice(0, Math.max(0, this.#text.length - characters));
  }

  touch(): void {}

  /** Whoever was to decide was asked by a host that is gone. */
  ask(): void {}

  retract(): void {}

  #outcome(): Finding['outcome'] {
    const assessment = assess(this.#evidence);
    if (assessment?.kind === 'completed' || assessment?.kind === 'failed') return assessment.kind;
    return assessment?.kind === 'lost' ? 'not-accepted' : 'indeterminate';
  }
}
