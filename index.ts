export { createSupervisor } from './actors/supervisor/create-supervisor.ts';
export { ERROR_CODES, type ErrorCode, SupervisorError, type SupervisorErrorDetails } from './actors/errors.ts';
export type * from './actors/contract/events.ts';
export type * from './actors/contract/session.ts';
export type * from './actors/contract/status.ts';
export type * from './actors/contract/supervisor.ts';
export type { BackendDefinition } from './actors/ports.ts';
