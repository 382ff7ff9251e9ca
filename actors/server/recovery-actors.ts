import type { ServerEvent, StepInput } from '../../machines/life-types.ts';
import type { Failure } from '../../machines/policies/failure-class.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { withLimit } from '../clock-loop.ts';
import type { RecoveryStep } from '../contract/status.ts';
import { messageOf, SupervisorError } from '../errors.ts';
import type { RecoveryPort, RecoveryReport, StepOutcome } from '../ports.ts';
import type { Registry } from '../registry.ts';
import type { ServerBackend } from './server-backend.ts';
import { serverStatus } from './server-status.ts';

/** Longest time for writing down what is known before a rung begins, in milliseconds. */
const EVIDENCE_LIMIT_MS = 3_000;

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
  const withEvidence = (rung: Rung) =>
    stepActor(registry, rung, (backend, input, signal) => evidence(registry, backend, input, signal));
  return {
    captureDiagnostics: actor((recovery, report) => recovery.captureDiagnostics(report)),
    rollbackConfig: withEvidence((recovery, report, signal) => recovery.rollbackConfig(report, signal)),
    seedConfig: withEvidence((recovery, report, signal) => recovery.seedConfig(report, signal)),
    restoreConfig: actor((recovery) => recovery.restoreConfig()),
  };
}

type Evidence = Pick<StepNote, 'diagnostics'>;
type Preparation = (backend: ServerBackend, input: StepInput, signal: AbortSignal) => Promise<Evidence>;

function stepActor(registry: Registry, rung: Rung, before: Preparation = () => Promise.resolve({})) {
  const { clock, logger } = registry;
  return asynchronousActor<ServerEvent, StepInput>(registry, async (input, { signal, tell }) => {
    const backend = registry.server(input.backendId);
    const { recovery } = backend.driver;
    const isOver = () => signal.aborted;
    const found = await before(backend, input, signal);
    if (isOver()) return;
    try {
      if (!recovery) throw new Error('There is nothing of ours to recover.');
      const { configId, ...note } = await rung(recovery, reportOf(backend, input), signal);
      if (isOver()) return;
      backend.stepNote = { ...note, ...found };
      const changed = configId === undefined ? {} : { configId };
      tell({ type: 'step.done', at: clock.now(), message: note.message, ...changed });
    } catch (error) {
      if (isOver()) return;
      const message = messageOf(error);
      backend.stepNote = { message, isImpossible: true, ...found };
      if (isAboutDisk(error)) registry.warn({ code: 'ERR_STORE', message, backend: backend.id });
      logger.warn({ err: error, backend: backend.id }, `A step of the recovery could not be taken: ${message}`);
      tell({ type: 'step.impossible', at: clock.now(), message });
    }
  });
}

/** A ladder that begins at the configuration writes down what it found before it changes anything. Never rejects. */
async function evidence(
  registry: Registry,
  backend: ServerBackend,
  input: StepInput,
  signal: AbortSignal,
): Promise<Evidence> {
  const { driver, definition, id } = backend;
  const { steps } = definition.settings.server.recovery;
  const others = input.attempted.filter((step) => step !== 'restart');
  const { recovery } = driver;
  if (!recovery || others.length > 1 || !steps.includes('capture-diagnostics')) return {};
  try {
    const work = () => recovery.captureDiagnostics(reportOf(backend, input));
    const { path } = await withLimit(registry.clock, EVIDENCE_LIMIT_MS, signal, work);
    return path === undefined ? {} : { diagnostics: path };
  } catch (error) {
    if (!signal.aborted) registry.warn({ code: 'ERR_STORE', message: messageOf(error), backend: id });
    return {};
  }
}

const isAboutDisk = (error: unknown): boolean => error instanceof SupervisorError && error.code === 'ERR_STORE';

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
