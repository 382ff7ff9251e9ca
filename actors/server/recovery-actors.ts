import type { ServerEvent, StepInput } from '../../machines/life-types.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import type { RecoveryStep } from '../contract/status.ts';
import { messageOf, SupervisorError } from '../errors.ts';
import type { RecoveryPort, RecoveryReport, StepOutcome } from '../ports.ts';
import type { Registry } from '../registry.ts';
import type { ServerBackend } from './server-backend.ts';
import { serverStatus } from './server-status.ts';

/** A rung of the ladder that was taken, and what became of it. */
export interface TakenStep {
  readonly step: RecoveryStep;
  readonly outcome: 'healthy' | 'failed';
  readonly message: string;
  readonly path?: string;
  readonly diagnostics?: string;
}

/** What a rung did, until its outcome is known. */
export interface StepNote {
  readonly message: string;
  readonly path?: string;
  readonly diagnostics?: string;
  /** It could do nothing. */
  readonly isImpossible?: boolean;
}

type Rung = (recovery: RecoveryPort, report: RecoveryReport, signal: AbortSignal) => Promise<StepOutcome>;

/** One actor for each rung. A rung that can do nothing is no defect: the ladder goes on. */
export function recoveryActors(registry: Registry) {
  const actor = (rung: Rung) => stepActor(registry, rung);
  return {
    captureDiagnostics: actor((recovery, report) => recovery.captureDiagnostics(report)),
    rollbackConfig: actor((recovery, report, signal) => recovery.rollbackConfig(report, signal)),
    seedConfig: actor((recovery, report, signal) => recovery.seedConfig(report, signal)),
    restoreConfig: actor((recovery) => recovery.restoreConfig()),
  };
}

function stepActor(registry: Registry, rung: Rung) {
  const { clock, logger } = registry;
  return asynchronousActor<ServerEvent, StepInput>(registry, async (input, { signal, tell }) => {
    const backend = registry.server(input.backendId);
    const { recovery } = backend.driver;
    try {
      if (!recovery) throw new Error('There is nothing of ours to recover.');
      const { configId, ...note } = await rung(recovery, reportOf(backend, input), signal);
      if (signal.aborted) return;
      backend.stepNote = note;
      const changed = configId === undefined ? {} : { configId };
      tell({ type: 'step.done', at: clock.now(), message: note.message, ...changed });
    } catch (error) {
      if (signal.aborted) return;
      const message = messageOf(error);
      backend.stepNote = { message, isImpossible: true };
      if (error instanceof SupervisorError && error.code === 'ERR_STORE')
        registry.warn({ code: 'ERR_STORE', message, backend: backend.id });
      logger.warn({ err: error, backend: backend.id }, `A step of the recovery could not be taken: ${message}`);
      tell({ type: 'step.impossible', at: clock.now(), message });
    }
  });
}

function reportOf(backend: ServerBackend, { failure, attempted }: StepInput): RecoveryReport {
  const unknown = { code: 'ERR_INTERNAL', message: 'No failure is known.' };
  return {
    backendId: backend.id,
    failure: failure ?? unknown,
    attempted,
    status: serverStatus(backend),
    history: [...backend.history],
  };
}

/** What is told of a rung when its outcome is known. */
export function takenStep(
  backend: ServerBackend,
  step: RecoveryStep,
  { outcome, failure }: { readonly outcome: TakenStep['outcome']; readonly failure: Failure | null },
): TakenStep {
  const silent: StepNote =
    step === 'restart'
      ? { message: 'The process was started again.' }
      : { message: 'It did not come to an end in time.', isImpossible: true };
  const note = backend.stepNote ?? silent;
  backend.stepNote = undefined;
  const why =
    outcome === 'failed' && failure !== null && note.isImpossible !== true ? ` It failed: ${failure.message}` : '';
  const { isImpossible: _, ...told } = note;
  return { step, outcome, ...told, message: `${note.message}${why}` };
}
