import { subject, setupLife } from './life-setup.ts';
import type { LifeContext, StepInput } from './life-types.ts';

const stepInput = ({ context }: { context: LifeContext }): StepInput => ({
  ...subject({ context }),
  failure: context.lastFailure,
  attempted: context.attempted,
});
const configOf = ({ event }: { event: { configId?: string | null } }): { configId?: string | null } =>
  event.configId === undefined ? {} : { configId: event.configId };

/** Asked for while a rung is at work: there is no process, and nothing to wait for. */
const whenAsked = {
  'life.stop': { target: '#idle' },
  'life.restart': { target: 'restarting', actions: ['forgetLadder', 'countAskedRestart'] },
  'life.reload': { target: 'restarting', actions: ['forgetLadder', 'countAskedRestart'] },
} as const;

/** What is started next has another configuration. */
const whenChanged = {
  target: 'restarting',
  actions: ['countRestart', { type: 'noteConfigOnTrial', params: configOf }],
} as const;

const capturingDiagnostics = setupLife.createStateConfig({
  description: 'What is known of the failure is written down; then it is restarted like any other time.',
  invoke: { src: 'captureDiagnostics', id: 'step', input: stepInput },
  on: {
    'step.done': { target: 'backingOff', actions: 'countRestart' },
    'step.impossible': { target: 'backingOff', actions: 'countRestart' },
    ...whenAsked,
  },
  after: { stepLimit: { target: 'backingOff', actions: 'countRestart' } },
});
const rollingBackConfig = setupLife.createStateConfig({
  description: 'The configuration is kept aside; the last one that was proved to work takes its place.',
  invoke: { src: 'rollbackConfig', id: 'step', input: stepInput },
  on: { 'step.done': whenChanged, 'step.impossible': { target: 'judging' }, ...whenAsked },
  after: { stepLimit: { target: 'judging' } },
});
const seedingConfig = setupLife.createStateConfig({
  description: 'The host is asked whether an empty configuration may take the place of one that does not work.',
  invoke: { src: 'seedConfig', id: 'step', input: stepInput },
  on: { 'step.done': whenChanged, 'step.impossible': { target: 'judging' }, ...whenAsked },
  after: { consentLimit: { target: 'judging' } },
});
const restoringConfig = setupLife.createStateConfig({
  description: 'Nothing helped: the configuration is put back as the rungs found it.',
  invoke: { src: 'restoreConfig', id: 'step', input: stepInput },
  on: {
    'step.done': { target: 'judging', actions: { type: 'noteConfigRestored', params: configOf } },
    'step.impossible': { target: 'judging', actions: { type: 'noteConfigRestored', params: {} } },
    ...whenAsked,
  },
  after: { stepLimit: { target: 'judging', actions: { type: 'noteConfigRestored', params: {} } } },
});

/** The rungs above the restart, for a backend that holds a configuration. */
export const ladder = { capturingDiagnostics, rollingBackConfig, seedingConfig, restoringConfig } as const;

const rung = <S extends string, T extends string>(step: S, target: T) =>
  ({
    target,
    guard: { type: 'isNext', params: { step } },
    actions: { type: 'takeStep', params: { step } },
  }) as const;

/** Which of them is next; when there is none, a configuration that did not help is taken back first. */
export const ladderVerdicts = [
  rung('capture-diagnostics', 'capturingDiagnostics'),
  rung('rollback-config', 'rollingBackConfig'),
  rung('seed-config', 'seedingConfig'),
  { target: 'restoringConfig', guard: 'isConfigOnTrial' },
] as const;
