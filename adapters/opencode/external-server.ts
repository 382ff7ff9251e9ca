import { SupervisorError, toFailure } from '../../actors/errors.ts';
import type { ProcessLife } from '../../actors/ports.ts';
import { present } from '../json.ts';
import { expectVersion } from './accepted-version.ts';
import type { ExternalOptions } from './external-options.ts';
import { probeDirectory, probeHealth } from './readiness.ts';
import { type ServerAddress, toSupervisorError } from './requests.ts';
import type { ServerSource } from './server-source.ts';

/** Codes that say more than that the server is not there. */
const TELLING: ReadonlySet<string> = new Set(['ERR_AUTH_REQUIRED', 'ERR_CONFIG_INVALID', 'ERR_VERSION_MISMATCH']);

/** A server that somebody else runs. Nothing here starts, signals or ends anything. */
export class ExternalServer implements ServerSource {
  readonly isOurs = false;
  readonly isRunning = true;
  readonly pid = undefined;
  readonly recovery = undefined;
  readonly address: ServerAddress;
  readonly directory: string | undefined;
  readonly #options: ExternalOptions;
  #connections = 0;

  constructor(options: ExternalOptions) {
    this.#options = options;
    this.directory = options.cwd;
    this.address = {
      baseUrl: options.baseUrl,
      username: options.username,
      ...present('password', options.password),
    };
  }

  /** One for each connection. */
  get generation(): number {
    return this.#connections;
  }

  launch(): ProcessLife {
    throw new Error(`The server at ${this.#options.baseUrl} is not ours to start.`);
  }

  async verify(signal: AbortSignal): Promise<{ version: string }> {
    this.#connections += 1;
    try {
      const version = await this.#health(signal);
      expectVersion(version, this.#options, `The server at ${this.#options.baseUrl}`);
      if (this.directory !== undefined) await probeDirectory(this.address, this.directory, signal);
      return { version };
    } catch (error) {
      throw this.#unavailable(error);
    }
  }

  expectAlive(): void {
    return;
  }

  configure(): never {
    throw unsupported('configuration is that of who runs it');
  }

  reread(): Promise<never> {
    return Promise.reject(unsupported('configuration is that of who runs it'));
  }

  reconfigured(): void {
    return;
  }

  #health(signal: AbortSignal): Promise<string> {
    return probeHealth(this.address, signal).catch((error: unknown) => {
      const failure = toSupervisorError(error, 'The server does not accept us');
      if (failure.code !== 'ERR_AUTH_REQUIRED') throw error;
      const { baseUrl, password } = this.#options;
      const what =
        password === undefined ? 'It asks for a password: give one' : 'It does not accept the password: check it';
      const message = `The server at ${baseUrl} refused us. ${what}, as \`password\` (and \`username\` where it is not opencode).`;
      throw new SupervisorError('ERR_AUTH_REQUIRED', message, { cause: error });
    });
  }

  #unavailable(error: unknown): SupervisorError {
    if (error instanceof SupervisorError && TELLING.has(error.code)) return error;
    const { message } = toFailure(error);
    const what = `External server unavailable (base_url=${this.#options.baseUrl}): ${message}`;
    return new SupervisorError('ERR_EXTERNAL_UNAVAILABLE', what, { cause: error });
  }
}

const unsupported = (what: string) =>
  new SupervisorError('ERR_UNSUPPORTED', `The server is run by somebody else; its ${what}.`);
