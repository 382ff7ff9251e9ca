import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { RecoveryReport } from '../actors/ports.ts';
import { PRIVATE_NAME, type Redactor } from './process/redaction.ts';
import { fileName, keepLatest, privateDirectory, stampOf, writeNew } from './state-directory.ts';
import { VERSION } from './version.ts';

const MASK = '[redacted]';

/** A flag whose value is the next argument, or follows in this one. */
const SECRET_FLAG = /^(--?[\w-]*(?:key|token|secret|passw|credential|auth)[\w-]*)(?:$|=)/i;

export interface DiagnosticsPlace {
  /** The state directory. */
  readonly directory: string;
  /** Files of one backend that are kept. */
  readonly keep: number;
  readonly wallMs: number;
  readonly redactor: Redactor;
}

/** Writes down what is known of a failure, without secrets. Resolves with the file's path. */
export async function writeDiagnostics(
  { directory, keep, wallMs, redactor }: DiagnosticsPlace,
  report: RecoveryReport,
  details: object,
): Promise<string> {
  const folder = await privateDirectory(join(directory, 'diagnostics'));
  const prefix = `${fileName(report.backendId)}-`;
  const path = join(folder, `${prefix}${stampOf(wallMs)}-${randomUUID().slice(0, 8)}.json`);
  const versions = { library: VERSION, node: process.version, platform: `${process.platform} ${process.arch}` };
  const content = { capturedAt: new Date(wallMs).toISOString(), ...report, versions, ...details };
  await writeNew(path, `${JSON.stringify(withoutSecrets(content, redactor), undefined, 2)}\n`);
  const isOfBackend = (name: string) => name.startsWith(prefix) && /^\d{4}-/.test(name.slice(prefix.length));
  await keepLatest(folder, isOfBackend, keep);
  return path;
}

/** A copy in which no value stands that has the name of a secret, or is known to be one. */
export function withoutSecrets(value: unknown, redactor: Redactor, name = ''): unknown {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    return items.map((item, index) => (isFlag(items[index - 1]) ? MASK : withoutSecrets(item, redactor, name)));
  }
  if (typeof value === 'object' && value !== null) {
    const below = (key: string) => (PRIVATE_NAME.test(name) ? name : key); // All that is below such a name.
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, withoutSecrets(item, redactor, below(key))]),
    );
  }
  if (typeof value !== 'string') return value;
  if (PRIVATE_NAME.test(name)) return MASK;
  const flag = SECRET_FLAG.exec(value)?.[1];
  return flag !== undefined && flag !== value ? `${flag}=${MASK}` : redactor.redact(value);
}

const isFlag = (item: unknown): boolean => typeof item === 'string' && SECRET_FLAG.exec(item)?.[1] === item;
