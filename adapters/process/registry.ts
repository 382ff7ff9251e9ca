import { messageOf } from '../../actors/errors.ts';
import type { DriverEnvironment, Logger } from '../../actors/ports.ts';
import { identityOf, type PidSpace, pidSpace, type ProcessIdentity } from './process-identity.ts';
import { reap } from './reaper.ts';
import { removeRecord, writeRecord } from './record-directory.ts';
import { runId } from './run-identity.ts';

/** Where the record of this run is kept, and who is told. */
export type Registration = Pick<DriverEnvironment, 'backendId' | 'logger' | 'warn'> & {
  /** Absolute; made on demand. */
  readonly directory: string;
};

/** While it is held, the run is on record: what it started would be ended by a later start, if nobody else did. */
export interface RecordHold {
  /** The life is over, and so is all that it started. Calling it again changes nothing. */
  release(): void;
}

interface OpenRecord {
  readonly holds: Set<RecordHold>;
  readonly tell: (error: unknown) => void;
}

/** Who keeps the record, and where its pid means anything. */
interface Self {
  readonly owner: ProcessIdentity;
  readonly space: PidSpace;
}

interface RecordedRealm {
  readonly children: Map<number, ProcessIdentity>;
  readonly directories: Set<string>;
  readonly open: Map<string, OpenRecord>;
  readonly reaping: Map<string, Promise<void>>;
  /** Supervisors that were told: each has a logger of its own. */
  readonly told: WeakSet<Logger>;
  self: Self | undefined;
  /** Something could not be ended or removed: the records stay, for the next start. */
  hasLeftovers: boolean;
}

const KEY = Symbol.for('agent-supervisor.registry.v1');

function realm(): RecordedRealm {
  const holder = globalThis as Record<symbol, RecordedRealm | undefined>;
  holder[KEY] ??= {
    children: new Map(),
    directories: new Set(),
    open: new Map(),
    reaping: new Map(),
    told: new WeakSet(),
    self: undefined,
    hasLeftovers: false,
  };
  return holder[KEY];
}

/**
 * Call before a child is spawned: ends what dead runs have left, and puts this run on record. Never rejects: where that is
 * not possible, it is told once.
 */
export async function holdRecord(registration: Registration): Promise<RecordHold> {
  if (process.platform === 'win32') return unguarded(registration);
  const { directory } = registration;
  const tell = (error: unknown) => tellFailure(registration, error);
  await reapOnce(registration).catch(tell);
  const hold: RecordHold = { release: () => release(directory, hold) };
  const record = realm().open.get(directory) ?? { holds: new Set(), tell };
  realm().open.set(directory, record);
  record.holds.add(hold);
  save(directory, record);
  return hold;
}

/** A child leads this group from now on. */
export function recordChild(pid: number): void {
  if (realm().open.size === 0) return;
  const identity = identified(pid);
  if (!identity) return;
  realm().children.set(pid, identity);
  saveAll();
}

/** The child is gone. `survivors`: what it started and could not be ended. */
export function forgetChild(pid: number, survivors: readonly number[]): void {
  if (survivors.length > 0) realm().hasLeftovers = true;
  else if (realm().children.delete(pid)) saveAll();
}

/** A private directory of this run; call before it is made. */
export function recordDirectory(path: string): void {
  realm().directories.add(path);
  saveAll();
}

/** The directory is gone. */
export function forgetDirectory(path: string): void {
  if (realm().directories.delete(path)) saveAll();
}

/** The directory could not be removed: the next start tries again. */
export function leaveDirectory(): void {
  realm().hasLeftovers = true;
}

function release(directory: string, hold: RecordHold): void {
  const record = realm().open.get(directory);
  if (record?.holds.delete(hold) !== true || record.holds.size > 0 || realm().hasLeftovers) return;
  realm().open.delete(directory);
  try {
    removeRecord(directory, runId());
  } catch (error) {
    record.tell(error);
  }
}

/** Launches at the same moment share one look at what others left. */
function reapOnce({ directory, logger }: Registration): Promise<void> {
  const { reaping } = realm();
  const running = reaping.get(directory);
  if (running) return running;
  const started = lookFor(directory, logger).finally(() => reaping.delete(directory));
  reaping.set(directory, started);
  return started;
}

async function lookFor(directory: string, logger: Logger): Promise<void> {
  const { owner, space } = self();
  await reap({ directory, run: runId(), self: owner, space, logger });
}

function saveAll(): void {
  for (const [directory, record] of realm().open) save(directory, record);
}

function save(directory: string, { tell }: OpenRecord): void {
  const held = { children: [...realm().children.values()], directories: [...realm().directories] };
  try {
    writeRecord(directory, { version: 1, run: runId(), ...self(), ...held });
  } catch (error) {
    tell(error);
  }
}

/** Does not change while the process runs. */
function self(): Self {
  const known = realm();
  const owner = known.self ? known.self.owner : identityOf(process.pid);
  if (!owner) throw new Error('the system does not tell when this process began');
  return (known.self ??= { owner, space: pidSpace() });
}

/** A child that has ended already, or of which the system does not tell, carries its mark. */
function identified(pid: number): ProcessIdentity | undefined {
  try {
    return identityOf(pid);
  } catch {
    return undefined;
  }
}

function tellFailure({ directory, backendId, warn, logger }: Registration, error: unknown): void {
  const message = `No record of processes can be kept in ${directory}: ${messageOf(error)}. Where this host and its guardian are both killed, no later start ends what they leave. Make room there, or choose another \`stateDirectory\`.`;
  if (isNew(logger)) warn({ code: 'ERR_STORE', message, backend: backendId });
}

function unguarded({ backendId, warn, logger }: Registration): RecordHold {
  const message =
    'On Windows nothing guards the processes: where this host is killed, its agents go on. Stop the supervisor before the host ends.';
  if (isNew(logger)) warn({ code: 'ERR_UNSUPPORTED', message, backend: backendId });
  return { release: () => undefined };
}

function isNew(logger: Logger): boolean {
  const { told } = realm();
  if (told.has(logger)) return false;
  told.add(logger);
  return true;
}
