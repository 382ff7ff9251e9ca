import type { StepOutcome } from '../../../actors/ports.ts';
import type { ConfigArchive } from './config-archive.ts';
import { type Consent, type HeldConfig, idOf, impossible, type LaunchConfig, SEED } from './held-config.ts';

/** [opencode] How the server calls a configuration that came in its environment. */
const VARIABLE = 'OPENCODE_CONFIG_CONTENT';

/** A configuration that the host gives as an object. What is remembered of it is in memory: it may hold secrets. */
export class ObjectConfig implements HeldConfig {
  readonly #archive: ConfigArchive;
  #current: LaunchConfig;
  #proven: LaunchConfig | undefined;
  /** What the rungs found. */
  #original: LaunchConfig | undefined;

  constructor(config: Readonly<Record<string, unknown>> | undefined, archive: ConfigArchive) {
    this.#archive = archive;
    this.#current = config ? launchConfig(config) : { id: null, content: Buffer.alloc(0) };
  }

  /** From the next life on. Returns what tells its content apart. */
  replace(config: Readonly<Record<string, unknown>>): string {
    const next = launchConfig(config);
    this.#original = undefined;
    this.#current = next;
    return next.id;
  }

  load(): Promise<LaunchConfig> {
    return Promise.resolve(this.#current);
  }

  owns(path: string | undefined): boolean {
    return this.#current.id !== null && path === VARIABLE;
  }

  accepted(): void {
    this.#original = undefined;
  }

  proven(config: LaunchConfig): Promise<void> {
    if (config.id !== null && config.id !== SEED_CONFIG.id) this.#proven = config;
    return Promise.resolve();
  }

  async rollback(signal: AbortSignal): Promise<StepOutcome> {
    const proven = this.#proven;
    if (!proven) throw impossible('No configuration has been proved to work yet.');
    if (proven.id === this.#current.id) throw impossible('The configuration is the one that was proved to work.');
    const path = await this.#put(proven, signal);
    return { message: 'The last configuration that was proved to work was taken.', configId: proven.id, path };
  }

  async seed(consent: Consent, signal: AbortSignal): Promise<StepOutcome> {
    await this.restore();
    if (!(await consent(signal))) throw impossible('The host did not agree to an empty configuration.');
    const path = await this.#put(SEED_CONFIG, signal);
    return { message: 'An empty configuration was taken.', configId: SEED_CONFIG.id, path };
  }

  restore(): Promise<StepOutcome> {
    if (this.#original) this.#current = this.#original;
    this.#original = undefined;
    return Promise.resolve({ message: 'The configuration is again what it was.', configId: this.#current.id });
  }

  /** Unless the host has given another one meanwhile. */
  async #put(next: LaunchConfig, signal: AbortSignal): Promise<string> {
    const found = this.#current;
    const path = await this.#archive.keep('config', found);
    signal.throwIfAborted();
    if (this.#current !== found) throw impossible('The host has given another configuration.');
    this.#original ??= found;
    this.#current = next;
    return path;
  }
}

const SEED_CONFIG = launchConfig(SEED);

function launchConfig(object: Readonly<Record<string, unknown>>): LaunchConfig & { readonly id: string } {
  const content = Buffer.from(JSON.stringify(object));
  return { id: idOf(content), object, content };
}
