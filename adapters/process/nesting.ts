import { SupervisorError } from '../../actors/errors.ts';
import { RUN_VARIABLE } from './run-identity.ts';

/** Whether this process was started, however indirectly, by a supervisor: its children carry a mark. */
export const isSupervisedChild = (): boolean => (process.env[RUN_VARIABLE] ?? '') !== '';

/** An agent that starts agents that start agents has no end. */
export function expectNotNested(
  what: string,
  { allowNested, nested }: { allowNested: boolean; nested: boolean },
): void {
  if (allowNested || !nested) return;
  const message = `${what} is not started: this process runs inside a supervised agent itself. Use the backend that is there, or set \`allowNested: true\` where that is what you want.`;
  throw new SupervisorError('ERR_NESTED_SUPERVISION', message);
}
