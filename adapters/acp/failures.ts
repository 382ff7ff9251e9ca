import { RequestError } from '@agentclientprotocol/sdk';
import { type ErrorCode, messageOf, SupervisorError } from '../../actors/errors.ts';
import type { Failure } from '../../actors/ports.ts';
import { type JsonFields, number, record, text } from '../json.ts';

const AUTH_REQUIRED = -32_000;
export const INVALID_PARAMS = -32_602;
const NOT_FOUND = -32_002;
/** What an agent advertises it may not have. */
const NO_METHOD = -32_601;

/** An agent's error as the failure of a turn. */
export function turnFailure(error: JsonFields): Failure {
  const code = number(error['code']);
  const detail = text(record(error['data'])['details']) ?? text(error['data']) ?? '';
  const message = [text(error['message']) ?? 'the agent gave no reason', detail]
    .filter((part) => part !== '')
    .join(': ');
  const reason = code === undefined ? {} : { reason: String(code) };
  return { code: code === AUTH_REQUIRED ? 'ERR_AUTH_REQUIRED' : 'ERR_TURN_FAILED', message, ...reason };
}

/** An agent's refusal of a request, or its silence, as an error of ours. */
export function requestError(what: string, error: unknown, hint = ''): SupervisorError {
  if (error instanceof SupervisorError) return error;
  const reason = error instanceof RequestError ? String(error.code) : undefined;
  const message = `${what}: ${messageOf(error)}${hint}`;
  return new SupervisorError(codeOf(error), message, { cause: error, reason });
}

function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof RequestError)) return 'ERR_BACKEND_EXITED';
  if (error.code === AUTH_REQUIRED) return 'ERR_AUTH_REQUIRED';
  if (error.code === INVALID_PARAMS) return 'ERR_INVALID_OPTION';
  if (error.code === NO_METHOD) return 'ERR_UNSUPPORTED';
  return error.code === NOT_FOUND ? 'ERR_SESSION_NOT_FOUND' : 'ERR_PROTOCOL';
}
