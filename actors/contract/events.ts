import type { LifecycleState } from './status.ts';

/** One part of a prompt. Files name an absolute path or a URI. */
export type ContentBlock =
  | { type: 'text'; text: string }
  | { type: 'image'; mimeType: string; data: string }
  | { type: 'file'; path?: string; uri?: string; mimeType?: string };

/** Tokens and cost of a turn so far. Tokens are counts, `cost` is in the provider's currency (US dollars). */
export interface Usage {
  inputTokens?: number;
  outputTokens?: number;
  reasoningTokens?: number;
  cacheReadTokens?: number;
  cacheWriteTokens?: number;
  totalTokens?: number;
  /** What the model's context holds now, and what it can hold, where the agent tells. */
  contextTokens?: number;
  maxContextTokens?: number;
  cost?: number;
}

/** A tool that the agent runs. The same `id` comes again with every change. */
export interface ToolCall {
  id: string;
  name: string;
  title?: string;
  kind?: string;
  status: 'pending' | 'running' | 'completed' | 'failed' | 'cancelled';
  input?: unknown;
  output?: string;
  error?: string;
}

export interface PlanEntry {
  content: string;
  status: 'pending' | 'in_progress' | 'completed' | 'cancelled';
  priority?: 'high' | 'medium' | 'low';
}

interface RequestBase {
  /** Stable: the same request keeps its id over reconnects. */
  readonly id: string;
  readonly sessionId: string;
  readonly chatId: string;
  readonly turnId: string;
  readonly directory: string;
  readonly backend: string;
  /** When the request expires, as an ISO time. */
  readonly expiresAt: string;
}

/** What an answer to a permission request does. Options are selected by kind, never by position. */
export type PermissionKind = 'allow_once' | 'allow_always' | 'reject_once' | 'reject_always';

/** An agent asks whether it may do something. */
export interface PermissionRequest extends RequestBase {
  readonly type: 'permission';
  readonly title: string;
  /** What kind of permission: `bash`, `edit`, …, in the backend's own words. */
  readonly permission: string;
  readonly patterns: readonly string[];
  readonly options: readonly PermissionKind[];
  readonly toolCallId?: string;
  readonly metadata?: unknown;
}

export interface PermissionDecision {
  outcome: PermissionKind | 'cancelled';
  /** Told to the agent with a rejection, where the backend can. */
  message?: string;
}

export interface Question {
  readonly question: string;
  readonly header?: string;
  readonly options: readonly { readonly label: string; readonly description?: string }[];
  readonly multiple?: boolean;
  /** An answer in the person's own words is accepted. */
  readonly custom?: boolean;
}

/** An agent asks a person something. */
export interface QuestionRequest extends RequestBase {
  readonly type: 'question';
  readonly questions: readonly Question[];
}

/** `accept` carries, for each question in order, the labels (or own words) chosen. */
export type QuestionAnswer = { action: 'accept'; answers: string[][] } | { action: 'decline' } | { action: 'cancel' };

/**
 * What happens in a turn, in order. `origin` names the subagent that an event comes from. `dropped` stands where a slow
 * reader lost `count` events. `unknown` carries what the backend sent and this version does not know.
 */
export type AgentEvent = (
  | { type: 'text'; text: string; messageId?: string }
  | { type: 'reasoning'; text: string; messageId?: string }
  | { type: 'tool'; tool: ToolCall }
  | { type: 'plan'; entries: PlanEntry[] }
  | { type: 'usage'; usage: Usage }
  | { type: 'permission'; request: PermissionRequest; decision?: PermissionDecision }
  | { type: 'question'; request: QuestionRequest; answer?: QuestionAnswer }
  | { type: 'retry'; attempt: number; nextAt?: string; message: string }
  | { type: 'backend'; state: LifecycleState; reason?: string }
  | { type: 'dropped'; count: number }
  | { type: 'unknown'; raw: unknown }
) & { origin?: { subagentSessionId: string } };
