export { type BackoffInput, backoffMachine } from './backoff-machine.ts';
export { type GroupEvent, groupMachine, type GroupReport, MAX_GROUP_CHILDREN } from './group-machine.ts';
export {
  type HealthInput,
  healthMachine,
  type HealthReport,
  type ProbeInput,
  type ProbeReport,
} from './health-machine.ts';
export * from './policies/backoff.ts';
export * from './policies/failure-class.ts';
export * from './policies/health-verdict.ts';
export * from './policies/process-life.ts';
export * from './policies/recovery-ladder.ts';
export * from './policies/restart-policy.ts';
export * from './policies/settlement.ts';
export * from './policies/stall-limit.ts';
export { externalMachine } from './external-machine.ts';
export { agentMachine } from './agent-machine.ts';
export { type AgentPlace, type PoolEvent, type PoolInput, poolMachine } from './pool-machine.ts';
export { serverMachine } from './server-machine.ts';
export type {
  AgentEvent,
  LifeCommand,
  LifeInput,
  LifeSubject,
  ServerEvent,
  StepInput,
  StepReport,
} from './life-types.ts';
export type * from './settings.ts';
export { streamMachine } from './stream-machine.ts';
export type { StreamEvent, StreamInput, StreamSubject } from './stream-setup.ts';
export { supervisorMachine } from './supervisor-machine.ts';
export type { SupervisorEvent, SupervisorInput } from './supervisor-setup.ts';
export { turnMachine } from './turn-machine.ts';
export { MAX_DISPATCHES, type TurnEvent, type TurnInput, type TurnLimits, type TurnVerdict } from './turn-setup.ts';
