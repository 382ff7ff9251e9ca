import { SupervisorError } from '../../../actors/errors.ts';
import type { StepOutcome } from '../../../actors/ports.ts';
import type { ConfigArchive } from './config-archive.ts';
import { type Consent, type HeldConfig, idOf, type LaunchConfig, SEED } from './held-config.ts';

/** [opencode] How the server calls a configuration that came in its environment. */
const VARIABLE = 'OPENCODE_CONFIG_CONTENT';

const impossible = (message: string) => new SupervisorError('ERR_UNSUPPORTED', message);

/** A configuration that the host gives as an object. What is remembered of it is in memory: it may hold secrets. */
export class ObjectConfig implements HeldConfig {
  readonly #archive: ConfigArchive;
  #current: LaunchConfig;
  #proven: LaunchConfig | undefined;
  /** What the rungs found. */
  #original: LaunchConfig | undefined;

  constructor(config: Readonly<Record<string, unknown>> | undefined, archive: ConfigArchive) {
    this.#archive = archive;
    this.#current = config ? launchConfig(config) : { id: null, content: '' };
  }

  /** From the next life on. */
  replace(config: Readonly<Record<string, unknown>>): LaunchConfig {
    this.#original = undefined;
    this.#current = launchConfig(config);
    return this.#current;
  }

  load(): Promise<LaunchConfig> {
    return Promise.resolve(this.#current);
  }

  owns(path: string | undefined): boolean {
    return this.#current.id !== null && path === VARIABLE;
  }

  proven(config: LaunchConfig): Promise<void> {
    if (config.id !== null) this.#proven = config;
    this.#original = undefined;
    return Promise.resolve();
  }

  async rollback(): Promise<StepOutcome> {
    const proven = this.#proven;
    if (!proven) throw impossible('No configuration has been proved to work yet.');
    if (proven.id === this.#current.id) throw impossible('The configuration is the one that was proved to work.');
    const archive = await this.#keepAside();
    this.#current = proven;
    return { message: 'The last configuration that was proved to work is used.', configId: proven.id, ...archive };
  }

  async seed(consent: Consent, isSuspect: boolean, signal: AbortSignal): Promise<StepOutcome> {
    if (isSuspect && this.#proven?.id === (this.#original ?? this.#current).id)
      throw impossible('The configuration has been proved to work: it is not the reason.');
    await this.restore();
    if (!(await consent(signal))) throw impossible('The host did not agree to an empty configuration.');
    signal.throwIfAborted();
    const archive = await this.#keepAside();
    this.#current = launchConfig(SEED);
    return { message: 'An empty configuration is used.', configId: this.#current.id, ...archive };
  }

  restore(): Promise<StepOutcome> {
    if (this.#original) this.#current = this.#original;
    return Promise.resolve({ message: 'The configuration is again what it was.', configId: this.#current.id });
  }

  async #keepAside(): Promise<{ path: string }> {
    this.#original ??= this.#current;
    return { path: await this.#archive.keep('config', this.#original) };
  }
}

function launchConfig(object: Readonly<Record<string, unknown>>): LaunchConfig {
  const content = JSON.stringify(object);
  return { id: idOf(content), object, content };
}
