import { abortError, awaitHealthy } from '../backend/await-healthy.ts';
import type { LifeControl } from '../backend/life-control.ts';
import { withLimit } from '../clock-loop.ts';
import { messageOf, SupervisorError } from '../errors.ts';
import type { SupervisorRuntime } from '../supervisor/runtime.ts';
import type { ServerBackend } from './server-backend.ts';

/** What a probe for a lease found. */
type Finding = 'alive' | 'replaced' | { readonly silent: SupervisorError };

/** Finds a server that is alive now, or makes one. Nothing is locked meanwhile: callers overlap, and share one restart. */
export class Acquisition {
  readonly #runtime: SupervisorRuntime;
  readonly #backend: ServerBackend;
  readonly #control: LifeControl;
  #replacing: Promise<void> | undefined;

  constructor(runtime: SupervisorRuntime, backend: ServerBackend, control: LifeControl) {
    this.#runtime = runtime;
    this.#backend = backend;
    this.#control = control;
  }

  /**
   * Resolves when the current life has just answered, or has just been proved to work. Rejects at `openTimeoutMs`, with the
   * last start error.
   */
  async alive(signal: AbortSignal | undefined): Promise<void> {
    const { clock, options } = this.#runtime;
    const endsAt = clock.now() + options.openTimeoutMs;
    const leftMs = () => Math.max(1, Math.ceil(endsAt - clock.now()));
    await awaitHealthy(this.#backend, { clock, timeoutMs: leftMs(), signal });
    const finding = await this.#find(signal);
    if (finding === 'alive') return;
    if (finding !== 'replaced') await this.#giveUpOn(finding.silent, leftMs(), signal);
    // Whoever stopped it meanwhile has the last word.
    await awaitHealthy(this.#backend, { clock, timeoutMs: leftMs(), signal, start: false });
  }

  /** Asks the life that is there. A life that ended meanwhile says nothing about the next one. */
  async #find(signal: AbortSignal = new AbortController().signal): Promise<Finding> {
    const { clock } = this.#runtime;
    const { driver, definition, lifeEnded } = this.#backend;
    const askedAt = clock.now();
    const isSame = () => this.#backend.lifeEnded === lifeEnded && this.#backend.isAvailable;
    try {
      await withLimit(clock, definition.settings.server.health.timeoutMs, signal, (limited) => driver.probe(limited));
      return isSame() ? 'alive' : 'replaced';
    } catch (error) {
      if (signal.aborted) throw abortError(signal);
      if (!isSame()) return 'replaced';
      return driver.lastSeenAt() > askedAt ? 'alive' : { silent: this.#silent(messageOf(error), error) };
    }
  }

  /** A server that does not answer is replaced, unless it works for somebody, or is not ours. */
  async #giveUpOn(silent: SupervisorError, limitMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#backend.turns > 0) throw silent;
    if (this.#backend.definition.mode === 'external') {
      this.#backend.send({ type: 'life.unreachable', reason: silent.message });
      return;
    }
    const { clock } = this.#runtime;
    await withLimit(clock, limitMs, signal ?? new AbortController().signal, () => this.#replaced()).catch(() => {
      throw signal?.aborted ? abortError(signal) : silent;
    });
  }

  /** However many ask for it, it is replaced once. */
  #replaced(): Promise<void> {
    this.#replacing ??= this.#control
      .restart('a lease was asked for and the server did not answer')
      .finally(() => (this.#replacing = undefined));
    return this.#replacing;
  }

  #silent(why: string, cause?: unknown): SupervisorError {
    const { id } = this.#backend;
    return new SupervisorError('ERR_BACKEND_EXITED', `The backend ${id} does not answer: ${why}`, {
      backend: id,
      cause,
    });
  }
}
