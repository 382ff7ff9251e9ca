import type { Logger } from './contract/supervisor.ts';

const ignore = (): void => undefined;

/** A logger that throws is the host's business, and never changes a lifecycle: its line is lost, nothing else is. */
export function safeLogger(logger: Logger): Logger {
  const guard = (write: (data: object, message: string) => unknown) => (data: object, message: string) => {
    try {
      const returned: unknown = write(data, message);
      if (returned instanceof Promise) returned.catch(ignore);
    } catch {
      return; // There is nowhere left to tell it.
    }
  };
  return {
    debug: guard((data, message) => logger.debug(data, message)),
    info: guard((data, message) => logger.info(data, message)),
    warn: guard((data, message) => logger.warn(data, message)),
    error: guard((data, message) => logger.error(data, message)),
  };
}
