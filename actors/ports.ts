/** What the charts and the facade need of the world, as types: adapters implement them. */
export type * from './ports/backends.ts';
export type * from './ports/recovery.ts';
export type * from './ports/sessions.ts';

export type { Failure } from '../machines/policies/failure-class.ts';
export type { TurnFact } from '../machines/policies/settlement.ts';
export type { LifeSettings } from '../machines/settings.ts';
export type {
  AgentEvent,
  ContentBlock,
  PermissionDecision,
  Question,
  QuestionAnswer,
  Usage,
} from './contract/events.ts';
export type { McpServer, Message } from './contract/session.ts';
export type { RecoveryStep, SessionCapabilities, SessionChoices, SessionMetadata } from './contract/status.ts';
export type { SessionStore, StoredSession, StoredTurn } from './contract/store.ts';
export type { BackendSession, Clock, Logger } from './contract/supervisor.ts';
