import { messageOf } from './errors.ts';
import type { Logger } from './contract/supervisor.ts';

/**
 * Makes what a chart calls safe for the chart: a thrown action would end it, with its children running. What was thrown
 * is a defect of this library, and is logged as one.
 */
export function guarded<A extends unknown[]>(
  logger: Logger,
  name: string,
  work: (...args: A) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      work(...args);
    } catch (error) {
      logger.error({ err: error, action: name }, `"${name}" failed: ${messageOf(error)}`);
    }
  };
}
