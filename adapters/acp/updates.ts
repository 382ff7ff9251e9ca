import type { AgentEvent, TurnSink } from '../../actors/ports.ts';
import type { Usage } from '../../actors/ports.ts';
import { type JsonFields, list, number, present, record, text } from '../json.ts';
import { toolName } from './tool-name.ts';
import { contextOf, sum, usageBeside, usageOf } from './usage.ts';

type ToolEvent = Extract<AgentEvent, { type: 'tool' }>;
type ToolCall = ToolEvent['tool'];

const TOOL_STATUS: ReadonlyMap<string, ToolCall['status']> = new Map([
  ['pending', 'pending'],
  ['in_progress', 'running'],
  ['completed', 'completed'],
  ['failed', 'failed'],
]);
const UNFINISHED: ReadonlySet<ToolCall['status']> = new Set(['pending', 'running']);

/** Updates that say something of the session, and nothing of the turn. */
const METADATA: ReadonlySet<string> = new Set([
  'available_commands_update',
  'current_mode_update',
  'config_option_update',
  'session_info_update',
  'user_message_chunk',
]);

/** What the translation needs to know beside the updates. */
export interface TurnSurroundings {
  /** The cost of the session before the turn, where it is known. */
  readonly costBefore: number | undefined;
  /** What a terminal of the session has written. */
  readonly terminalText: (terminalId: string) => string | undefined;
}

/** Turns the updates of one turn into its events. */
export class UpdateTranslator {
  readonly #sink: TurnSink;
  readonly #tools = new Map<string, ToolCall>();
  readonly #surroundings: TurnSurroundings;
  /** By tool: the terminal that shows its output. */
  readonly #terminals = new Map<string, string>();
  #hasBegun = false;
  #usage: Usage = {};

  constructor(sink: TurnSink, surroundings: TurnSurroundings) {
    this.#sink = sink;
    this.#surroundings = surroundings;
  }

  handle(update: JsonFields): void {
    this.begin();
    const kind = text(update['sessionUpdate']) ?? '';
    const event = this.#eventOf(kind, update);
    if (event) this.#sink.emit(event);
    else this.#sink.touch();
    if (update['_meta'] !== undefined) this.#addUsage(usageBeside(update));
  }

  /** What the answer to the prompt says that all of it took. */
  used(usage: JsonFields): void {
    const used = usageOf(usage);
    if (used) this.#tellUsage({ ...this.#usage, ...used });
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
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
        return { type: 'usage', usage: this.#withContext(update) };
      default:
        return METADATA.has(kind) ? undefined : { type: 'unknown', raw: update };
    }
  }

  #addUsage(step: Usage | undefined): void {
    if (step) this.#tellUsage(sum(this.#usage, step));
  }

  #tellUsage(usage: Usage): void {
    this.#usage = usage;
    this.#sink.emit({ type: 'usage', usage });
  }

  /** The protocol tells the context, and the cost of the whole session. */
  #withContext(update: JsonFields): Usage {
    const context = contextOf(update);
    const cost = number(record(update['cost'])['amount']);
    const { costBefore } = this.#surroundings;
    this.#usage = {
      ...this.#usage,
      ...present('contextTokens', context?.tokens),
      ...present('maxContextTokens', context?.maxTokens),
      ...present('cost', cost === undefined || costBefore === undefined ? undefined : cost - costBefore),
    };
    return this.#usage;
  }

  /** What a tool has written: as its content says, or in the terminal that is its content. */
  #outputOf(toolId: string, update: JsonFields): string | undefined {
    const content = list(update['content']).map(record);
    const terminalId = text(content.find(({ type }) => type === 'terminal')?.['terminalId']);
    if (terminalId !== undefined) this.#terminals.set(toolId, terminalId);
    const shown = this.#terminals.get(toolId);
    const written = shown === undefined ? undefined : this.#surroundings.terminalText(shown);
    return update['content'] === undefined ? written : `${textOf(content)}${written ?? ''}`;
  }

  /** An update of a tool says only what has changed. */
  #tool(update: JsonFields): ToolCall {
    const id = text(update['toolCallId']) ?? '';
    const known = this.#tools.get(id);
    const status = TOOL_STATUS.get(text(update['status']) ?? '') ?? known?.status ?? 'pending';
    const said = this.#outputOf(id, update);
    const tool: ToolCall = {
      ...known,
      id,
      name: toolName(update) ?? known?.name ?? text(update['kind']) ?? 'unknown',
      status: known?.status === 'cancelled' ? 'cancelled' : status,
      ...present('title', text(update['title'])),
      ...present('kind', text(update['kind'])),
      ...(update['rawInput'] === undefined ? {} : { input: update['rawInput'] }),
      ...(said === undefined || said === '' ? {} : status === 'failed' ? { error: said } : { output: said }),
    };
    const { output: _, input: __, error: ___, ...short } = tool;
    this.#tools.set(id, UNFINISHED.has(tool.status) ? tool : short); // What is finished need not be kept.
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

function textOf(content: readonly unknown[]): string {
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
