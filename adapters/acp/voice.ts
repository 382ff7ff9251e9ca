import { methods } from '@agentclientprotocol/sdk';
import { SupervisorError } from '../../actors/errors.ts';
import type { SessionChoices, SessionMetadata, VoiceChoice } from '../../actors/ports.ts';
import { invalidOption } from '../../actors/validation.ts';
import { type JsonFields, list, present, record, text } from '../json.ts';
import { requestError } from './failures.ts';
import type { Line } from './turn.ts';

type Kind = 'mode' | 'model';
type Choices = SessionChoices['modes'];

/**
 * Who answers in a session: in which mode, and with which model. Agents tell it as modes, as options of the session in the
 * categories `mode` and `model`, or not at all.
 */
export class AcpVoice {
  #modes: JsonFields = {};
  #options: readonly JsonFields[] = [];
  /** What the session was in before a single prompt asked for something else. */
  readonly #before = new Map<Kind, string>();
  /** What the agent is in is not known: it is told again. */
  readonly #unsure = new Set<Kind>();

  /** A new life of the agent has opened the session: what it does not say is not known any more. */
  opened(answer: JsonFields): void {
    this.#unsure.add('mode').add('model');
    this.read(answer);
  }

  /** What an answer of the agent says. */
  read(answer: JsonFields): void {
    if (answer['modes'] !== undefined && answer['modes'] !== null)
      this.#learn('mode', () => (this.#modes = record(answer['modes'])));
    if (answer['configOptions'] !== undefined && answer['configOptions'] !== null)
      this.#learn('model', () => (this.#options = list(answer['configOptions']).map(record)));
    if (this.#optionOf('mode') && this.#modesOf().length === 0) this.#unsure.delete('mode');
  }

  /** What an update of the session says. */
  update(update: JsonFields): void {
    if (update['sessionUpdate'] === 'current_mode_update')
      this.#learn('mode', () => (this.#modes = { ...this.#modes, currentModeId: update['currentModeId'] }));
    if (update['sessionUpdate'] === 'config_option_update') this.read(update);
  }

  has(kind: Kind): boolean {
    return this.#choices(kind).length > 0;
  }

  get metadata(): Pick<SessionMetadata, 'mode' | 'model'> {
    return { ...present('mode', this.#current('mode')), ...present('model', this.#current('model')) };
  }

  get choices(): Pick<SessionChoices, 'modes' | 'models'> {
    return { modes: this.#choices('mode'), models: this.#choices('model') };
  }

  /** Throws for what the agent does not have. Before the session is open nothing is known of it. */
  check({ agent, model }: VoiceChoice, isOpen: boolean): void {
    if (agent !== undefined)
      throw new SupervisorError('ERR_UNSUPPORTED', 'An agent of this kind has no agents of its own; its modes may do.');
    if (model !== undefined && isOpen && !this.has('model'))
      throw new SupervisorError('ERR_UNSUPPORTED', 'The model of this agent is its own choice.');
  }

  verify(choice: VoiceChoice): void {
    this.check(choice, true);
    if (choice.mode !== undefined) this.#expect('mode', choice.mode);
    if (choice.model !== undefined) this.#expect('model', choice.model);
  }

  /** Asks the agent for what is wanted; where nothing is wanted any more, for what there was before. */
  async choose(wanted: VoiceChoice, line: Line, sessionId: string, signal: AbortSignal): Promise<void> {
    for (const kind of ['model', 'mode'] as const) {
      const now = this.#current(kind);
      const value = wanted[kind] ?? this.#before.get(kind);
      if (wanted[kind] !== undefined && now !== undefined && !this.#before.has(kind)) this.#before.set(kind, now);
      if (value !== undefined && value !== now) {
        this.#expect(kind, value);
        this.#unsure.add(kind); // Until it is done, it may be either.
        await this.#set(kind, value, line, sessionId, signal);
        this.#unsure.delete(kind);
      }
      if (wanted[kind] === undefined) this.#before.delete(kind);
    }
  }

  /** What is wanted from now on: nothing to go back from. */
  async adopt(wanted: VoiceChoice, line: Line, sessionId: string, signal: AbortSignal): Promise<void> {
    await this.choose(wanted, line, sessionId, signal);
    for (const kind of ['model', 'mode'] as const) if (wanted[kind] !== undefined) this.#before.delete(kind);
  }

  #learn(kind: Kind, change: () => void): void {
    change();
    this.#unsure.delete(kind);
  }

  async #set(kind: Kind, value: string, { agent }: Line, sessionId: string, signal: AbortSignal): Promise<void> {
    const limits = { cancellationSignal: signal, stopWaitingOnCancel: true };
    const option = this.#optionOf(kind);
    const isMode = kind === 'mode' && this.#modesOf().length > 0;
    const asked = isMode
      ? agent.request(methods.agent.session.setMode, { sessionId, modeId: value }, limits)
      : agent.request(
          methods.agent.session.setConfigOption,
          { sessionId, configId: text(option?.['id']) ?? kind, value },
          limits,
        );
    const answer = await asked.catch((error: unknown) => {
      throw requestError(`The ${kind} ${value} was not taken`, error);
    });
    if (isMode) this.#modes = { ...this.#modes, currentModeId: value };
    else this.read(record(answer));
  }

  #expect(kind: Kind, value: string): void {
    const known = this.#choices(kind).map(({ id }) => id);
    if (known.includes(value)) return;
    throw invalidOption(kind, `one of ${known.join(', ') || `none: the agent offers no ${kind}s`}`, value);
  }

  #current(kind: Kind): string | undefined {
    if (this.#unsure.has(kind)) return undefined;
    const mode = kind === 'mode' ? text(this.#modes['currentModeId']) : undefined;
    return mode ?? text(this.#optionOf(kind)?.['currentValue']);
  }

  #choices(kind: Kind): Choices {
    const modes = kind === 'mode' ? this.#modesOf() : [];
    const offered = modes.length > 0 ? modes : valuesOf(this.#optionOf(kind));
    return offered.map((one) => ({
      id: text(one['id']) ?? text(one['value']) ?? '',
      name: text(one['name']) ?? '',
      ...present('description', text(one['description'])),
    }));
  }

  #modesOf(): readonly JsonFields[] {
    return list(this.#modes['availableModes']).map(record);
  }

  /** [goose] Its options for the model and the mode have the names, and no category. */
  #optionOf(kind: Kind): JsonFields | undefined {
    const selects = this.#options.filter((option) => option['type'] === 'select');
    return selects.find(({ category }) => category === kind) ?? selects.find(({ id }) => id === kind);
  }
}

/** The values of an option, which may come in groups. */
function valuesOf(option: JsonFields | undefined): readonly JsonFields[] {
  return list(option?.['options']).flatMap((value) => {
    const group = record(value)['options'];
    return group === undefined ? [record(value)] : list(group).map(record);
  });
}
