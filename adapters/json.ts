/** A JSON object of which nothing is known yet. */
export type JsonFields = Readonly<Record<string, unknown>>;

/** Any value as a record; what is not one is empty. */
export function record(value: unknown): JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonFields) : {};
}

/** Any value as a list; what is not one is empty. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A string, or nothing. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Several strings by name. */
export function texts(fields: JsonFields, ...names: readonly string[]): readonly (string | undefined)[] {
  return names.map((name) => text(fields[name]));
}

/** A finite number, or nothing. */
export function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A finite number, or zero. */
export function count(value: unknown): number {
  return number(value) ?? 0;
}

/** A time in milliseconds as an ISO time; what is no time that a date can hold has none. */
export function isoTime(value: unknown): string | undefined {
  const ms = number(value);
  const date = ms === undefined ? undefined : new Date(ms);
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** The field, unless it has no value. */
export function present<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}
