import { lstat, rename, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../actors/ports.ts';
import { type EndLimits, endRuns, type RunsEnd } from './end-runs.ts';
import { removeOwnDirectory } from './own-directory.ts';
import { hasEnded, type PidSpace, type ProcessIdentity } from './process-identity.ts';
import { listRecords, pathOf, readRecord } from './record-directory.ts';
import type { RecordFile, RunRecord } from './run-record.ts';

/** Where records are, and who looks at them. */
export interface Reaper {
  readonly directory: string;
  readonly run: string;
  readonly self: ProcessIdentity;
  readonly space: PidSpace;
  readonly logger: Logger;
  readonly limits?: ReapLimits;
}

/** `waitMs`: how long all of it may take, others included, in milliseconds. */
export interface ReapLimits extends EndLimits {
  readonly waitMs: number;
}

const LIMITS: ReapLimits = { graceMs: 300, limitMs: 2_000, waitMs: 3_000 };
const POLL_MS = 25;
/** Nobody writes a record for so long. */
const STALE_MS = 3_600_000;

interface Claim {
  readonly record: RunRecord;
  readonly file: RecordFile;
}

/** What a look at a file says: it is claimed now, somebody else is at it, it changed while one looked, or it is nobody's to touch. */
type Verdict = Claim | 'busy' | 'changed' | 'left';

/**
 * Ends what dead runs left, and removes their private directories and their records. Each record is worked on by one
 * reaper alone: who renames it has it. Resolves also where others do the work, when they are done, or at the limit.
 * Rejects with what the disk says.
 */
export async function reap(reaper: Reaper): Promise<void> {
  const { waitMs } = reaper.limits ?? LIMITS;
  const deadline = performance.now() + waitMs;
  const tried = new Set<string>();
  const failures: Error[] = [];
  const tolerate = (error: Error): Verdict => (failures.push(error), 'left');
  for (;;) {
    const files = (await listRecords(reaper.directory)).filter(({ run }) => run !== reaper.run && !tried.has(run));
    const verdicts = await Promise.all(files.map((file) => judge(reaper, file).catch(tolerate)));
    const claims = verdicts.filter((verdict) => typeof verdict === 'object');
    for (const { record } of claims) tried.add(record.run);
    if (claims.length > 0) await finish(reaper, claims);
    else if (!verdicts.some(isUnsettled) || performance.now() > deadline) break;
    else await delay(POLL_MS);
  }
  if (failures[0]) throw failures[0]; // What was claimed beside it is done.
}

const isUnsettled = (verdict: Verdict): boolean => verdict === 'busy' || verdict === 'changed';

async function judge(reaper: Reaper, file: RecordFile): Promise<Verdict> {
  if (file.kind === 'temporary') return removeStale(reaper, file);
  const record = await readRecord(reaper.directory, file);
  if (record === undefined || record === 'changed') return record ?? 'left';
  if (!isDead(record, reaper.space)) return 'left';
  if (file.kind === 'claim' && file.byRun !== reaper.run && !hasEnded(file.by)) return 'busy';
  return claim(reaper, file, record);
}

/**
 * A record of another namespace says nothing to us: its pids are others. After another boot of this machine all of them are
 * gone; one that has no name may be another machine.
 */
function isDead({ space, owner }: RunRecord, own: PidSpace): boolean {
  if (space.machine !== own.machine) return false;
  if (space.boot !== own.boot) return space.machine !== '';
  return space.namespace === own.namespace && hasEnded(owner);
}

/** Who renames it first has it. The name of a claim is never given again: it names who claimed it. */
async function claim({ directory, run, self }: Reaper, file: RecordFile, record: RunRecord): Promise<Verdict> {
  const claimed: RecordFile = { kind: 'claim', run: file.run, byRun: run, by: self };
  try {
    await rename(pathOf(directory, file), pathOf(directory, claimed));
    return { record, file: claimed };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'changed';
    throw error;
  }
}

async function finish(reaper: Reaper, claims: readonly Claim[]): Promise<void> {
  const records = claims.map(({ record }) => record).filter(({ space }) => space.boot === reaper.space.boot);
  const end = await endRuns(records, reaper.limits ?? LIMITS);
  await Promise.all(claims.map((one) => conclude(reaper, one, end)));
}

/** What could not be done is left for the next start. */
async function conclude({ directory, logger }: Reaper, { record, file }: Claim, end: RunsEnd): Promise<void> {
  const { run, owner } = record;
  const processes = end.ended.get(run)?.size ?? 0;
  const survivors = [...(end.survivors.get(run) ?? [])];
  const removals = await Promise.all(record.directories.map((path) => removeOwnDirectory(path, run)));
  const directories = removals.filter((removal) => removal === 'removed').length;
  const isDone = survivors.length === 0 && !removals.includes('failed');
  if (isDone) await rm(pathOf(directory, file), { force: true });
  else await rename(pathOf(directory, file), pathOf(directory, { kind: 'record', run }));
  await rm(pathOf(directory, { kind: 'temporary', run }), { force: true });
  tell(logger, { run, owner: owner.pid, processes, directories, survivors, isDone });
}

interface Reaped {
  readonly run: string;
  readonly owner: number;
  readonly processes: number;
  readonly directories: number;
  readonly survivors: readonly number[];
  readonly isDone: boolean;
}

function tell(logger: Logger, reaped: Reaped): void {
  const { owner, processes, directories, isDone } = reaped;
  const done = `Cleaned up after a host that died (pid ${owner}); processes ended: ${processes}, private directories removed: ${directories}.`;
  if (!isDone) logger.warn(reaped, `${done} Something could not be: the next start tries again.`);
  else if (processes + directories > 0) logger.warn(reaped, done);
  else logger.info(reaped, `A host that died (pid ${owner}) had left nothing.`);
}

async function removeStale({ directory }: Reaper, file: RecordFile): Promise<Verdict> {
  const path = pathOf(directory, file);
  const found = await lstat(path).catch(() => undefined);
  if (found && Date.now() - found.mtimeMs > STALE_MS) await rm(path, { force: true });
  return 'left';
}
