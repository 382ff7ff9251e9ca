import type {
  AgentEvent,
  ContentBlock,
  PermissionDecision,
  PermissionRequest,
  QuestionAnswer,
  QuestionRequest,
  Usage,
} from './events.ts';
import type { SessionCapabilities, SessionChoices, SessionStatus } from './status.ts';

/** `indeterminate`: accepted, then the backend died before any proof of the end. */
export type TurnOutcome = 'completed' | 'cancelled' | 'failed' | 'indeterminate';

/** How a turn ended. `text` is everything the agent said in it, subagents excluded, up to `maxTextBytes`. */
export interface TurnResult {
  outcome: TurnOutcome;
  /** `end_turn`, `max_tokens`, `refusal`, `rejected` (a person's rejection ended the turn), or the backend's own word. */
  stopReason?: string;
  text: string;
  usage?: Usage;
  error?: { code: string; message: string; retryable: boolean };
}

/**
 * One prompt until it settles. Iterating is optional: each iterator gets the buffered events, then the live ones, and ends
 * without throwing. Breaking out of a loop does not cancel.
 */
export interface Turn extends AsyncIterable<AgentEvent> {
  readonly id: string;
  /** Settles exactly once, never rejects. */
  readonly result: Promise<TurnResult>;
  /** A queued turn settles unsent. Resolves when the turn is settled. */
  cancel(): Promise<void>;
}

/** Options of one prompt. Durations in milliseconds; each defaults to the supervisor's `turn` options. */
export interface PromptOptions {
  signal?: AbortSignal;
  /** `provider/model`. */
  model?: string;
  agent?: string;
  mode?: string;
  inactivityTimeoutMs?: number;
  deadlineMs?: number;
}

/** One message of a session, as the backend keeps it. */
export interface Message {
  readonly id: string;
  readonly role: 'user' | 'assistant' | (string & {});
  readonly text: string;
  readonly createdAt?: string;
}

/** An MCP server that a session's agent may use. [opencode] One that all sessions of the directory share. */
export type McpServer =
  | { name: string; type?: 'stdio'; command: string; args?: string[]; env?: Record<string, string> }
  | { name: string; type: 'http' | 'sse'; url: string; headers?: Record<string, string> };

/** Answers an agent's permission request. `undefined` leaves it pending for `decide()`. */
export type PermissionHandler = (
  request: PermissionRequest,
  context: { signal: AbortSignal },
) => PermissionDecision | undefined | Promise<PermissionDecision | undefined>;

/** Answers an agent's question. `undefined` leaves it pending for `decide()`. */
export type QuestionHandler = (
  request: QuestionRequest,
  context: { signal: AbortSignal },
) => QuestionAnswer | undefined | Promise<QuestionAnswer | undefined>;

export interface OpenSessionOptions<BackendId extends string = string> {
  backend: BackendId;
  /** Absolute path of an existing directory. */
  directory: string;
  /** The conversation on the host's side; a fresh one where absent. */
  chatId?: string;
  title?: string;
  model?: string;
  agent?: string;
  mode?: string;
  mcpServers?: McpServer[];
  /** `auto` (the default) continues what is known of the chat, `never` starts anew, anything else is an agent session id. */
  resume?: 'auto' | 'never' | (string & {});
  signal?: AbortSignal;
  onPermission?: PermissionHandler;
  onQuestion?: QuestionHandler;
}

/** A conversation of one chat with one backend in one directory. */
export interface Session extends AsyncDisposable {
  readonly id: string;
  readonly chatId: string;
  readonly backend: string;
  readonly agentSessionId: string;
  readonly directory: string;
  readonly capabilities: SessionCapabilities;
  /** After a host restart: the turn that was in flight, told once. */
  readonly interrupted?: { turnId: string; outcome: TurnOutcome | 'not-accepted'; text: string } | undefined;
  /** Turns of one session run one at a time, in call order. Throws only ERR_INVALID_OPTION; every other failure settles the turn. */
  prompt(input: string | ContentBlock[], options?: PromptOptions): Turn;
  /** The running turn and all queued ones; resolves when they are settled. */
  cancel(): Promise<void>;
  setModel(id: string): Promise<void>;
  setMode(id: string): Promise<void>;
  /** A new session, with a chat of its own, that continues from here. */
  fork(): Promise<Session>;
  messages(): Promise<Message[]>;
  status(): SessionStatus;
  choices(): SessionChoices;
  /** Lets go of the handle; the backend stays warm. */
  release(): Promise<void>;
  /** Ends the agent session; deletes nothing on the backend unless asked. */
  close(options?: { delete?: boolean }): Promise<void>;
}
