type Fields = Readonly<Record<string, unknown>>;

/**
 * The text of the last message of the assistant; `undefined` where there is none, or nothing but white space. Takes what
 * `session.messages()` resolves to, and what an opencode client lists (`{ info: { role }, parts: [{ type: 'text', text }] }`).
 */
export function extractAssistantText(messages: readonly unknown[] | null | undefined): string | undefined {
  const all: readonly unknown[] = Array.isArray(messages) ? messages : [];
  const last = all.map(fields).findLast((message) => roleOf(message) === 'assistant');
  const text = last && textOf(last);
  return text === undefined || text.trim() === '' ? undefined : text;
}

const roleOf = (message: Fields): unknown => message['role'] ?? fields(message['info'])['role'];

function textOf(message: Fields): string {
  if (typeof message['text'] === 'string') return message['text'];
  const parts: readonly unknown[] = Array.isArray(message['parts']) ? message['parts'] : [];
  const texts = parts.map(fields).filter(({ type }) => type === 'text');
  return texts.map(({ text }) => (typeof text === 'string' ? text : '')).join('');
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
