import type { Failure } from '../../machines/policies/failure-class.ts';
import type { TurnFact } from '../../machines/policies/settlement.ts';
import type {
  AgentEvent,
  ContentBlock,
  PermissionDecision,
  PermissionKind,
  Question,
  QuestionAnswer,
} from '../contract/events.ts';
import type { McpServer, Message } from '../contract/session.ts';
import type { SessionCapabilities, SessionChoices, SessionMetadata } from '../contract/status.ts';

export interface DriverSessionRequest {
  readonly directory: string;
  readonly title?: string;
  readonly model?: string;
  readonly agent?: string;
  readonly mode?: string;
  readonly mcpServers?: readonly McpServer[];
  /** The agent session to continue; a new one where absent. */
  readonly resume?: string;
  /** Something was said in it: an empty session of that name is another one. */
  readonly hasHistory?: boolean;
}

/** A conversation on the backend. It outlives process lives where the backend keeps it. */
export interface DriverSession {
  readonly agentSessionId: string;
  readonly directory: string;
  readonly restored: boolean;
  readonly capabilities: SessionCapabilities;
  readonly metadata: SessionMetadata;
  readonly choices: SessionChoices;
  /** Throws `ERR_INVALID_OPTION` for a request that the backend cannot take. */
  check(request: TurnRequest): void;
  /**
   * Rejects with `ERR_INVALID_OPTION` for a model, agent or mode that the backend does not have. One that keeps them takes
   * them over now, unless a turn runs.
   */
  verify(choice: VoiceChoice, signal: AbortSignal): Promise<void>;
  /** The turn's events and evidence go to the sink from now on. One turn of a session at a time. */
  begin(request: TurnRequest, sink: TurnSink): DriverTurn;
  /** Ends whatever an abandoned turn left working; resolves when the session is quiet. */
  quiet(signal: AbortSignal): Promise<void>;
  fork(signal: AbortSignal): Promise<string>;
  messages(signal: AbortSignal): Promise<Message[]>;
  close(options: { readonly delete: boolean }, signal: AbortSignal): Promise<void>;
  /** What was said, where that is known without asking. */
  readonly transcript?: readonly Message[];
  /** Tells the sink what became of a prompt of an earlier host; absent where nobody could know. */
  recount?(prompt: EarlierPrompt, sink: TurnSink, signal: AbortSignal): Promise<void>;
}

/** A prompt that another host has sent. */
export interface EarlierPrompt {
  readonly messageId: string;
  /** How long ago its turn began, in milliseconds. */
  readonly ageMs: number;
}

/** Who is to answer. Absent: whoever answers in the session anyway. */
export interface VoiceChoice {
  readonly model?: string;
  readonly agent?: string;
  readonly mode?: string;
}

export interface TurnRequest extends VoiceChoice {
  readonly blocks: readonly ContentBlock[];
}

/** `unknown`: the prompt may or may not have been accepted. `unsent`: it was not, and may be when the backend works again. */
export type DispatchOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'unsent'; readonly failure: Failure }
  | { readonly kind: 'unknown'; readonly failure: Failure };

/** One prompt on the backend. Sending it again uses the same message id, so it runs at most once. */
export interface DriverTurn {
  /** The name of its prompt on the backend, where we choose that. */
  readonly messageId?: string;
  /** Never rejects. */
  send(signal: AbortSignal): Promise<DispatchOutcome>;
  /** The turn is cancelled: what `send` has not sent yet is given up, and it resolves with `refused`. */
  withdraw(): void;
  cancel(signal: AbortSignal): Promise<void>;
  answer(askId: string, answer: PermissionDecision | QuestionAnswer, signal: AbortSignal): Promise<void>;
  /** The readers are behind, or no longer: what is still to come waits at the agent, where nobody else is kept waiting. */
  hold(isHeld: boolean): void;
  /** No more events of this turn. */
  end(): void;
}

/** Where a turn's events and evidence go. Its methods never throw. */
export interface TurnSink {
  emit(event: AgentEvent): void;
  /** The agent took back the last characters of its answer. */
  unsay(characters: number): void;
  /** Something of the turn came that is neither event nor evidence: it lives. */
  touch(): void;
  fact(fact: TurnFact): void;
  ask(ask: DecisionAsk): void;
  /** The request was answered elsewhere, or is gone. */
  retract(askId: string): void;
}

/** A request for a person's decision, as an adapter hands it over. */
export type DecisionAsk =
  | {
      readonly type: 'permission';
      readonly id: string;
      readonly title: string;
      readonly permission: string;
      readonly patterns: readonly string[];
      readonly options: readonly PermissionKind[];
      readonly toolCallId?: string;
      readonly metadata?: unknown;
      readonly origin?: { readonly subagentSessionId: string };
    }
  | {
      readonly type: 'question';
      readonly id: string;
      readonly questions: readonly Question[];
      readonly origin?: { readonly subagentSessionId: string };
    };
