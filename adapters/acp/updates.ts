import type { AgentEvent, TurnSink } from '../../actors/ports.ts';
import { type JsonFields, list, number, present, record, text } from '../json.ts';

type ToolEvent = Extract<AgentEvent, { type: 'tool' }>;
type ToolCall = ToolEvent['tool'];

const TOOL_STATUS: Readonly<Record<string, ToolCall['status']>> = {
  pending: 'pending',
  in_progress: 'running',
  completed: 'completed',
  failed: 'failed',
};
const UNFINISHED: ReadonlySet<ToolCall['status']> = new Set(['pending', 'running']);

/** Updates that say something of the session, and nothing of the turn. */
const METADATA: ReadonlySet<string> = new Set([
  'available_commands_update',
  'current_mode_update',
  'config_option_update',
  'session_info_update',
  'user_message_chunk',
]);

/** Turns the updates of one turn into its events. */
export class UpdateTranslator {
  readonly #sink: TurnSink;
  readonly #tools = new Map<string, ToolCall>();
  #hasBegun = false;

  constructor(sink: TurnSink) {
    this.#sink = sink;
  }

  handle(update: JsonFields): void {
    this.begin();
    const kind = text(update['sessionUpdate']) ?? '';
    const event = this.#eventOf(kind, update);
    if (event) this.#sink.emit(event);
    else this.#sink.touch();
  }

  /** The agent works on it. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#sink.fact({ kind: 'working' });
  }

  /** What was not finished when the turn was cancelled is cancelled, too. */
  cancelTools(): void {
    for (const tool of this.#tools.values()) {
      if (!UNFINISHED.has(tool.status)) continue;
      this.#tools.set(tool.id, { ...tool, status: 'cancelled' });
      this.#sink.emit({ type: 'tool', tool: { ...tool, status: 'cancelled' } });
    }
  }

  #eventOf(kind: string, update: JsonFields): AgentEvent | undefined {
    switch (kind) {
      case 'agent_message_chunk':
        return saidOf('text', update);
      case 'agent_thought_chunk':
        return saidOf('reasoning', update);
      case 'tool_call':
      case 'tool_call_update':
        return { type: 'tool', tool: this.#tool(update) };
      case 'plan':
        return { type: 'plan', entries: list(update['entries']).map((entry) => planEntry(record(entry))) };
      case 'usage_update':
        return usageOf(update);
      default:
        return METADATA.has(kind) ? undefined : { type: 'unknown', raw: update };
    }
  }

  /** An update of a tool says only what has changed. */
  #tool(update: JsonFields): ToolCall {
    const id = text(update['toolCallId']) ?? '';
    const known = this.#tools.get(id);
    const status = TOOL_STATUS[text(update['status']) ?? ''] ?? known?.status ?? 'pending';
    const said = update['content'] === undefined ? undefined : outputOf(list(update['content']));
    const tool: ToolCall = {
      ...known,
      id,
      name: text(update['name']) ?? known?.name ?? text(update['kind']) ?? 'unknown',
      status: known?.status === 'cancelled' ? 'cancelled' : status,
      ...present('title', text(update['title'])),
      ...present('kind', text(update['kind'])),
      ...(update['rawInput'] === undefined ? {} : { input: update['rawInput'] }),
      ...(said === undefined || said === '' ? {} : status === 'failed' ? { error: said } : { output: said }),
    };
    this.#tools.set(id, tool);
    return tool;
  }
}

function saidOf(type: 'text' | 'reasoning', update: JsonFields): AgentEvent | undefined {
  const content = record(update['content']);
  const said = text(content['text']);
  if (content['type'] !== 'text' || said === undefined) return { type: 'unknown', raw: update };
  if (said === '') return undefined;
  const messageId = text(update['messageId']);
  return messageId === undefined ? { type, text: said } : { type, text: said, messageId };
}

function outputOf(content: readonly unknown[]): string {
  return content
    .map((item) => record(record(item)['content']))
    .map((block) => (block['type'] === 'text' ? (text(block['text']) ?? '') : ''))
    .join('');
}

function planEntry(entry: JsonFields): Extract<AgentEvent, { type: 'plan' }>['entries'][number] {
  const { status, priority } = entry;
  return {
    content: text(entry['content']) ?? '',
    status: status === 'in_progress' || status === 'completed' ? status : 'pending',
    ...(priority === 'high' || priority === 'medium' || priority === 'low' ? { priority } : {}),
  };
}

function usageOf(update: JsonFields): AgentEvent {
  const cost = number(record(update['cost'])['amount']);
  return { type: 'usage', usage: { ...present('totalTokens', number(update['used'])), ...present('cost', cost) } };
}
