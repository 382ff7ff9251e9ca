import type { PidSpace, ProcessIdentity } from './process-identity.ts';

/** What is kept of a run while it has anything that could outlive it. */
export interface RunRecord {
  readonly version: 1;
  readonly run: string;
  readonly owner: ProcessIdentity;
  readonly space: PidSpace;
  /** The leaders of the groups that the run has started. */
  readonly children: readonly ProcessIdentity[];
  /** Private directories, with secrets in them. */
  readonly directories: readonly string[];
}

const RUN = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const RECORD_NAME = new RegExp(`^(${RUN})\\.json$`);
const CLAIM_NAME = new RegExp(`^(${RUN})\\.(${RUN})\\.(\\d+)\\.(\\d+)\\.claim$`);
const TEMPORARY_NAME = new RegExp(`^(${RUN})\\.tmp$`);

/** What a file among the records is, by its name. */
export type RecordFile =
  | { readonly kind: 'record'; readonly run: string }
  /** Somebody reaps what the run left: `by`, for the run `byRun`. */
  | { readonly kind: 'claim'; readonly run: string; readonly byRun: string; readonly by: ProcessIdentity }
  /** A record that is being written. */
  | { readonly kind: 'temporary'; readonly run: string };

/** The name of a file among the records. */
export function recordFileName(file: RecordFile): string {
  if (file.kind === 'record') return `${file.run}.json`;
  if (file.kind === 'temporary') return `${file.run}.tmp`;
  return `${file.run}.${file.byRun}.${file.by.pid}.${file.by.startedAt}.claim`;
}

/** What the name says; nothing where it is none of ours. */
export function readFileName(name: string): RecordFile | undefined {
  const [, run] = RECORD_NAME.exec(name) ?? [];
  if (run !== undefined) return { kind: 'record', run };
  const [, writing] = TEMPORARY_NAME.exec(name) ?? [];
  if (writing !== undefined) return { kind: 'temporary', run: writing };
  const [, claimed, byRun, pid, startedAt] = CLAIM_NAME.exec(name) ?? [];
  if (claimed === undefined || byRun === undefined || startedAt === undefined) return undefined;
  return { kind: 'claim', run: claimed, byRun, by: { pid: Number(pid), startedAt } };
}

/** The record of a run, whatever the text is; nothing where it is none of this run. */
export function parseRecord(text: string, run: string): RunRecord | undefined {
  const value = parsed(text);
  if (!isFields(value) || value['version'] !== 1 || value['run'] !== run) return undefined;
  const { owner, space, children, directories } = value;
  if (!isProcess(owner) || !isSpace(space)) return undefined;
  if (!isListOf(children, isProcess) || !isListOf(directories, isText)) return undefined;
  return { version: 1, run, owner, space, children, directories };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';

const isFields = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function isProcess(value: unknown): value is ProcessIdentity {
  if (!isFields(value)) return false;
  const { pid, startedAt } = value;
  return Number.isSafeInteger(pid) && Number(pid) > 0 && isText(startedAt) && /^\d+$/.test(startedAt);
}

const isSpace = (value: unknown): value is PidSpace =>
  isFields(value) && [value['machine'], value['boot'], value['namespace']].every(isText);

function isListOf<T>(value: unknown, isOne: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isOne);
}
