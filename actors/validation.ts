import { SupervisorError } from './errors.ts';

/** The longest delay that timers keep: 2^31 - 1 milliseconds, about 24.8 days. A longer one would fire at once. */
export const MAX_DELAY_MS = 2 ** 31 - 1;

type Fields = Readonly<Record<string, unknown>>;

/** A typed refusal that says what was expected, and what came. */
export function invalidOption(path: string, expected: string, got: unknown): SupervisorError {
  return new SupervisorError('ERR_INVALID_OPTION', `${path}: expected ${expected}, got ${describe(got)}`);
}

/** A plain object with no other keys than `known`. `undefined` counts as empty. */
export function expectObject(path: string, value: unknown, known: readonly string[]): Fields {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption(path, 'an object', value);
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw invalidOption(path, `only the options ${known.join(', ')}`, unknown.join(', '));
  return value as Fields;
}

export function expectString(path: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalidOption(path, 'a non-empty string', value);
  if (value.includes('\0')) throw invalidOption(path, 'a string without NUL characters', value);
  return value;
}

/** Absolute on this system, or a Windows path with a drive: what is relative depends on where the host was started. */
export function expectAbsolutePath(path: string, value: unknown): string {
  const given = expectString(path, value);
  if (!/^([/\\]|[A-Za-z]:[/\\])/.test(given)) throw invalidOption(path, 'an absolute path', given);
  return given;
}

export function expectBoolean(path: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidOption(path, 'true or false', value);
  return value;
}

export function expectSignal(path: string, value: unknown): void {
  if (!(value instanceof AbortSignal)) throw invalidOption(path, 'an AbortSignal', value);
}

export function expectFunction(path: string, value: unknown): void {
  if (typeof value !== 'function') throw invalidOption(path, 'a function', value);
}

export function expectOneOf<const T extends string>(path: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) throw invalidOption(path, `one of ${choices.join(', ')}`, value);
  return value as T;
}

export function expectStrings(path: string, value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw invalidOption(path, 'an array of strings', value);
  for (const [index, item] of value.entries()) {
    if (typeof item !== 'string' || item.includes('\0'))
      throw invalidOption(`${path}[${index}]`, 'a string without NUL characters', item);
  }
  return value as string[];
}

/** An object of strings, such as variables or headers. */
export function expectTexts(path: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption(path, 'an object of strings', value);
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string' || text.includes('\0')) throw invalidOption(`${path}.${name}`, 'a string', text);
  }
}

/** Whole milliseconds from `minimum` to 2^31 - 1. */
export function expectDuration(path: string, value: unknown, minimum = 1): number {
  if (!isWhole(value) || value < minimum || value > MAX_DELAY_MS) {
    throw invalidOption(path, `whole milliseconds from ${minimum} to ${MAX_DELAY_MS}`, value);
  }
  return value;
}

/** A whole number of at least `minimum`. */
export function expectCount(path: string, value: unknown, minimum = 0, maximum = Number.MAX_SAFE_INTEGER): number {
  if (!isWhole(value) || value < minimum || value > maximum) {
    const range = maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
    throw invalidOption(path, `a whole number ${range}`, value);
  }
  return value;
}

/** Applies `check` unless the value is absent. */
export function optional<T>(value: unknown, check: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(value);
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
