import { randomUUID } from 'node:crypto';
import type { Message } from '../../actors/ports.ts';
import { type JsonFields, record, text } from '../json.ts';

/** Text kept of one session, in characters, and at times up to twice as much. The oldest goes first. */
const MAX_LENGTH = 2 * 1024 * 1024;

interface Said {
  readonly id: string;
  readonly role: 'user' | 'assistant';
  readonly createdAt: string | undefined;
  /** The agent's own name of the message, where it has one. */
  readonly messageId: string | undefined;
  text: string;
}

const ROLES: ReadonlyMap<string, Said['role']> = new Map([
  ['user_message_chunk', 'user'],
  ['agent_message_chunk', 'assistant'],
]);

/** Whether an update is part of a message. */
export const isSaid = (update: JsonFields): boolean => ROLES.has(text(update['sessionUpdate']) ?? '');

/** What was said in a session since it was opened, and what the agent told of the time before. */
export class Transcript {
  #said: Said[] = [];
  #length = 0;
  /** The next chunk begins a message, whoever said the last one. */
  #isBroken = false;

  get messages(): Message[] {
    return this.#said.map(({ id, role, createdAt, text: said }) => ({
      id,
      role,
      text: said,
      ...(createdAt === undefined ? {} : { createdAt }),
    }));
  }

  /** A prompt is sent. */
  asked(prompt: string): void {
    this.#isBroken = true;
    this.#append('user', undefined, prompt, false);
    this.#isBroken = true;
  }

  /** Something was said: now, or in a replay. */
  heard(update: JsonFields, isReplay: boolean): void {
    const role = ROLES.get(text(update['sessionUpdate']) ?? '');
    if (!role) {
      this.#isBroken ||= update['sessionUpdate'] === 'tool_call';
      return;
    }
    if (role === 'user' && !isReplay) return; // An echo of the prompt.
    const said = text(record(update['content'])['text']);
    if (said !== undefined && said !== '') this.#append(role, text(update['messageId']), said, isReplay);
  }

  /** What was known so far is told again, by the one who has kept it. */
  clear(): void {
    this.#said = [];
    this.#length = 0;
    this.#isBroken = false;
  }

  #append(role: Said['role'], messageId: string | undefined, said: string, isReplay: boolean): void {
    const last = this.#said.at(-1);
    this.#length += said.length;
    const isSame = last?.messageId === messageId && (messageId !== undefined || !this.#isBroken);
    if (last && last.role === role && isSame) last.text += said;
    else {
      const createdAt = isReplay ? undefined : new Date().toISOString();
      this.#said.push({ id: messageId ?? randomUUID(), role, messageId, createdAt, text: said });
    }
    this.#isBroken = false;
    while (this.#length > MAX_LENGTH && this.#said.length > 1) this.#length -= this.#said.shift()?.text.length ?? 0;
    const [only] = this.#said;
    if (!only || this.#length <= 2 * MAX_LENGTH) return; // Now and then: each cut copies what is kept.
    only.text = only.text.slice(-MAX_LENGTH);
    this.#length = only.text.length;
  }
}
