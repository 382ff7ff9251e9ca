import { validRange } from 'semver';
import { expectAbsolutePath, expectBoolean, expectString, invalidOption, optional } from '../../actors/validation.ts';
import { present } from '../json.ts';
import type { Given } from '../life-options.ts';

/** A server that somebody else runs, and how it is spoken to. */
export interface ExternalOptions {
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly port: number;
  readonly username: string;
  readonly password?: string;
  readonly version?: string;
  readonly allowVulnerable: boolean;
  /** A directory that the server is to answer for. */
  readonly cwd?: string;
}

/** What is about starting a server, or ending it. */
const ABOUT_LAUNCH = [
  'command',
  'args',
  'env',
  'inheritEnv',
  'hostname',
  'port',
  'config',
  'configFile',
  'stopGraceMs',
  'startAttempts',
  'restart',
  'recovery',
] as const;

/** Throws `ERR_INVALID_OPTION` where options contradict the `url`. */
export function expectNoLaunch(given: Given): void {
  const contradictions = ABOUT_LAUNCH.filter((name) => given[name] !== undefined);
  if (contradictions.length > 0)
    throw invalidOption(
      'opencode()',
      'either url or what starts a server of ours',
      `url and ${contradictions.join(', ')}`,
    );
}

export function resolveExternal(given: Given): ExternalOptions {
  const url = expectUrl(given['url']);
  return {
    baseUrl: url.href.replace(/\/+$/, ''),
    port: portOf(url),
    username: optional(given['username'], expectUsername) ?? 'opencode',
    allowVulnerable: optional(given['allowVulnerable'], (value) => expectBoolean('allowVulnerable', value)) ?? false,
    ...present(
      'password',
      optional(given['password'], (value) => expectString('password', value)),
    ),
    ...present('version', optional(given['version'], expectVersion)),
    ...present(
      'cwd',
      optional(given['cwd'], (value) => expectAbsolutePath('cwd', value)),
    ),
  };
}

/** Addresses are told in messages and logs: what is secret has options of its own. */
function expectUrl(value: unknown): URL {
  const given = expectString('url', value);
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw invalidOption('url', 'an address such as http://127.0.0.1:4096', url?.username ? 'another one' : given);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw invalidOption('url', 'an address alone; `username` and `password` are options', 'more than that');
  return url;
}

/** A URL does not say the port that is its protocol's own. */
export function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

export function expectVersion(value: unknown): string {
  const range = expectString('version', value);
  if (validRange(range) === null) throw invalidOption('version', 'a version or a semver range', range);
  return range;
}

/** Basic authentication separates name and password by a colon. */
export function expectUsername(value: unknown): string {
  const username = expectString('username', value);
  if (username.includes(':')) throw invalidOption('username', 'a name without a colon', username);
  return username;
}
