import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import libsql from 'libsql/promise';
import { sqliteStore } from '../../adapters/store/index.ts';
import type { StoredSession } from '../../index.ts';
import { CHATS, derivedSession, numberOf } from '../fixtures/derived-session.ts';
import { bundleStoreWriter } from '../fixtures/store-host.ts';

/** One kill of a host in the middle of its writes. */
export interface KilledWriter {
  /** From the first acknowledged write, or, of a host that makes a new file, from where it begins that. */
  readonly killedAfterMs: number;
  readonly isNewFile: boolean;
  readonly acknowledged: number;
  /** Of the store, by the next host. */
  readonly openedInMs: number;
}

export interface StoreKillOptions {
  readonly runs: number;
  /** Numbers in [0, 1): when to kill. */
  readonly random: () => number;
  readonly onRun?: (run: KilledWriter, index: number) => void;
}

interface Place {
  readonly path: string;
  /** The newest acknowledged number of each chat, over all hosts that the file had. */
  readonly acknowledged: Map<string, number>;
  next: number;
}

const MAX_KILL_MS = 150;
/** A new file is made by every so many hosts, which are killed while they make it, or soon after. */
const NEW_FILE_EVERY = 10;
const MAX_NEW_FILE_MS = 100;

/** Kills a host with SIGKILL at a random moment of its writes, many times, and looks at what the store holds then. */
export async function killStore(
  options: StoreKillOptions,
): Promise<{ readonly kills: readonly KilledWriter[]; readonly violations: readonly string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'agent-supervisor-chaos-'));
  const program = await bundleStoreWriter();
  const violations: string[] = [];
  const kills: KilledWriter[] = [];
  try {
    let place = newPlace(directory, 0);
    for (let index = 0; index < options.runs; index += 1) {
      const isNewFile = index % NEW_FILE_EVERY === 0;
      if (isNewFile) place = newPlace(directory, index);
      const killed = await killOnce(program.path, place, isNewFile, options.random());
      const { openedInMs, found } = await lookInto(place);
      violations.push(...found.map((violation) => `run ${index}: ${violation}`));
      kills.push({ ...killed, isNewFile, openedInMs });
      options.onRun?.({ ...killed, isNewFile, openedInMs }, index);
    }
  } finally {
    program.remove();
    rmSync(directory, { recursive: true, force: true });
  }
  return { kills, violations };
}

function newPlace(directory: string, index: number): Place {
  return { path: join(directory, `sessions-${index}.db`), acknowledged: new Map(), next: 0 };
}

async function killOnce(program: string, place: Place, isNewFile: boolean, chance: number) {
  const child = spawn(process.execPath, [program, place.path, 'flood', String(place.next)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child.stdout, 'end');
  const isUnderWay = () => (isNewFile ? /opening/ : /\d/).test(output);
  while (!isUnderWay() && child.exitCode === null) await Promise.race([once(child.stdout, 'data'), exited]);
  const killedAfterMs = Math.round(chance * (isNewFile ? MAX_NEW_FILE_MS : MAX_KILL_MS));
  await pause(killedAfterMs);
  child.kill('SIGKILL');
  await Promise.all([exited, ended]);
  return { killedAfterMs, acknowledged: acknowledge(place, output) };
}

const isNumber = (line: string) => /^\d+$/.test(line);

/** Remembers what was acknowledged in whole lines, and leaves room for what was on its way. */
function acknowledge(place: Place, output: string): number {
  const numbers = output.split('\n').slice(0, -1).filter(isNumber).map(Number);
  for (const number of numbers) {
    const { chatId } = derivedSession(number);
    place.acknowledged.set(chatId, Math.max(number, place.acknowledged.get(chatId) ?? 0));
    place.next = Math.max(place.next, number + CHATS);
  }
  return numbers.length;
}

async function lookInto(place: Place): Promise<{ readonly openedInMs: number; readonly found: readonly string[] }> {
  const store = sqliteStore({ path: place.path });
  const start = performance.now();
  try {
    await store.open();
    const openedInMs = Math.round(performance.now() - start);
    const found = [...problemsOf(await store.list(), place), ...(await integrityOf(place.path))];
    await store.close();
    return { openedInMs, found };
  } catch (error) {
    return { openedInMs: Math.round(performance.now() - start), found: [String(error)] };
  }
}

function problemsOf(sessions: readonly StoredSession[], { acknowledged }: Place): readonly string[] {
  const mixed = sessions.filter((session) => !isDeepStrictEqual(session, derivedSession(numberOf(session))));
  const kept = new Map(sessions.map((session) => [session.chatId, numberOf(session)]));
  const lost = [...acknowledged].filter(([chatId, number]) => (kept.get(chatId) ?? -1) < number);
  return [
    ...mixed.map((session) => `a record is not whole: ${JSON.stringify(session).slice(0, 200)}`),
    ...lost.map(
      ([chatId, number]) => `${chatId}: ${number} was acknowledged, ${kept.get(chatId) ?? 'nothing'} is kept`,
    ),
  ];
}

/** The whole check of SQLite, as another program would do it while the store is open. */
async function integrityOf(path: string): Promise<readonly string[]> {
  const other = new libsql(path, {}) as { pragma(name: string, options: object): Promise<unknown>; close(): void };
  const result = await other.pragma('integrity_check', { simple: true }).finally(() => other.close());
  const said = (result as { readonly integrity_check?: unknown }).integrity_check;
  return said === 'ok' ? [] : [`integrity_check: ${String(said)}`];
}
