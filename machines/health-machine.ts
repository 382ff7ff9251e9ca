import { sendParent, setup } from 'xstate';
import { notProvided } from './not-provided.ts';
import type { HealthSchedule } from './settings.ts';

/** The outcome of one check, told to the owner. `at` is a monotonic time in milliseconds. */
export type HealthReport =
  | { readonly type: 'health.passed'; readonly at: number }
  | { readonly type: 'health.failed'; readonly at: number; readonly reason: string };

/** What the probe actor sends back. */
export type ProbeReport =
  | { readonly type: 'probe.passed'; readonly at: number }
  | { readonly type: 'probe.failed'; readonly at: number; readonly reason: string };

/** The check that the probe actor makes. It must settle by itself within `timeoutMs`. */
export interface ProbeInput {
  readonly backendId: string;
  readonly agentId: string | null;
  /** Somebody asked: recent traffic is no answer. */
  readonly asked: boolean;
  readonly timeoutMs: number;
}

/** What a health poll is started with. */
export interface HealthInput extends HealthSchedule {
  readonly backendId: string;
  readonly agentId: string | null;
}

type HealthEvent = ProbeReport | { readonly type: 'health.checkNow' };

/** Checks a backend again and again, one check at a time. It reports; the owner decides. */
export const healthMachine = setup({
  types: { input: {} as HealthInput, context: {} as HealthInput, events: {} as HealthEvent },
  actors: { probe: notProvided<ProbeInput>('probe') },
  actions: {
    reportPassed: sendParent((_, params: { at: number }): HealthReport => ({ type: 'health.passed', ...params })),
    reportFailed: sendParent((_, params: { at: number; reason: string }): HealthReport => ({
      type: 'health.failed',
      ...params,
    })),
  },
  delays: { interval: ({ context }) => context.intervalMs },
}).createMachine({
  id: 'health',
  context: ({ input }) => input,
  initial: 'waiting',
  states: {
    waiting: {
      description: 'The pause between two checks.',
      on: { 'health.checkNow': { target: 'probing' } },
      after: { interval: { target: 'probing' } },
    },
    probing: {
      description: 'One check is under way; the probe keeps its own time limit. Who asks for one gets a new one.',
      invoke: {
        src: 'probe',
        id: 'probe',
        input: ({ context, event }) => ({
          backendId: context.backendId,
          agentId: context.agentId,
          asked: event.type === 'health.checkNow',
          timeoutMs: context.timeoutMs,
        }),
      },
      on: {
        'health.checkNow': { target: 'probing', reenter: true },
        'probe.passed': {
          target: 'waiting',
          actions: { type: 'reportPassed', params: ({ event }) => ({ at: event.at }) },
        },
        'probe.failed': {
          target: 'waiting',
          actions: { type: 'reportFailed', params: ({ event }) => ({ at: event.at, reason: event.reason }) },
        },
      },
    },
  },
});
