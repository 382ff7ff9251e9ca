import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RUN_VARIABLE } from '../../adapters/process/run-identity.ts';
import type { Session } from '../../index.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { type Bundle, bundleProgram } from '../fixtures/bundled-host.ts';
import { processesWith } from '../fixtures/leftovers.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import type { OpenedSession, RestartingHostTask, Sayings } from '../fixtures/programs/restarting-host.ts';
import { until } from '../fixtures/until.ts';
import { watched } from './watched.ts';

type Interruption = NonNullable<Session['interrupted']>;

/**
 * How the turn of a killed host is accounted for: its host told its end; its end is on record, though its host did not tell
 * it any more; nothing is on record and nobody has seen it; or what the next host was told of it.
 */
export type Account = 'settled' | 'settled unheard' | 'never sent' | Interruption['outcome'] | 'unaccounted';

/** One host that was killed, and what the next one made of that. */
export interface RestartedHost {
  readonly killedAfterMs: number;
  readonly account: Account;
  readonly executions: number;
  /** From the kill until the next host has opened the chat. */
  readonly openedMs: number;
}

export interface RestartOptions {
  readonly agent: AgentUnderTest;
  readonly runs: number;
  /** Numbers in [0, 1): when to kill. */
  readonly random: () => number;
  readonly onTurn?: (turn: RestartedHost, index: number) => void;
}

interface Scene extends RestartOptions {
  readonly world: OpencodeWorld;
  readonly bundle: Bundle;
  readonly violations: string[];
  /** Turns that hosts were told of. */
  readonly told: Set<string>;
  /** So long a turn takes here at present, in milliseconds. */
  turnMs: number;
}

interface Host {
  readonly process: ChildProcess;
  readonly lines: { readonly what: string; readonly value: unknown; readonly at: number }[];
  readonly closed: Promise<unknown>;
}

type Complain = (what: string) => void;

/** Kills come up to so much later than the end of a turn. */
const BEYOND = 1.2;
/** One that has not ended by then takes longer now. */
const SLOWER = 1.5;
const LIMIT_MS = 60_000;
const WORDS = Array.from({ length: 20 }, (_, index) => `w${index} `).join('');
const CHAT = 'the chat';
const workOf = (agent: AgentUnderTest, nonce: string): string =>
  `[[fresh]]${nonce} [[words 20 every 10]]${agent.shell('sleep 0.2')}[[words 20 every 10]]`;
const NEXT = '[[fresh]][[say still here]]';

/**
 * Kills hosts with SIGKILL at a random moment of a turn, many times over one store. The next host is up by then and goes
 * on at that moment, while what the dead one left is still ending.
 */
export async function restartHost(
  options: RestartOptions,
): Promise<{ readonly turns: readonly RestartedHost[]; readonly violations: readonly string[] }> {
  const violations: string[] = [];
  const bundle = await bundleRestartingHost();
  try {
    const turns = await watched(violations, (world) =>
      restartAll({ ...options, world, bundle, violations, told: new Set(), turnMs: 0 }),
    );
    return { turns, violations };
  } finally {
    bundle.remove();
  }
}

/** The store finds its package beside the bundle. */
async function bundleRestartingHost(): Promise<Bundle> {
  const beside = new URL('../fixtures/bundled-host.ts', import.meta.url).href;
  const bundle = await bundleProgram('restarting-host.ts', { 'import.meta.url': JSON.stringify(beside) });
  const packages = fileURLToPath(new URL('../../node_modules', import.meta.url));
  symlinkSync(packages, join(dirname(bundle.path), 'node_modules'));
  return bundle;
}

async function restartAll(scene: Scene): Promise<readonly RestartedHost[]> {
  const turns: RestartedHost[] = [];
  const nonces: string[] = [];
  let before: OpenedSession | undefined;
  scene.turnMs = await timeTurn(scene);
  for (let index = 0; index < scene.runs; index += 1) {
    const complain = (what: string) => void scene.violations.push(`host ${index}: ${what}`);
    const nonce = `nonce-${index}-${Math.trunc(scene.random() * 1e9)}-end`;
    nonces.push(nonce);
    const { turn, opened } = await restart(scene, { nonce, before, complain });
    before = opened;
    turns.push(turn);
    scene.onTurn?.(turn, index);
  }
  await expectPeace(scene, before);
  for (const [index, nonce] of nonces.entries()) {
    const executions = scene.agent.executionsOf(scene.world, nonce);
    if (executions !== turns[index]?.executions) scene.violations.push(`host ${index}: its turn was executed later`);
  }
  return turns;
}

interface Run {
  readonly nonce: string;
  /** What the host before said of the chat. */
  readonly before: OpenedSession | undefined;
  readonly complain: Complain;
}

async function restart(scene: Scene, { nonce, before, complain }: Run) {
  const { agent, world, random } = scene;
  const first = start(scene, { chatId: CHAT, prompt: workOf(agent, nonce), stays: true });
  const second = start(scene, { chatId: CHAT, prompt: NEXT, stays: false });
  go(first);
  await hears(first, 'prompting');
  expectSame(before, first, complain);
  const killedAfterMs = Math.round(random() * scene.turnMs * BEYOND);
  await pause(killedAfterMs);
  const isAnswered = hasLastAnswer(world, nonce);
  first.process.kill('SIGKILL');
  const killedAt = performance.now();
  go(second);
  await hears(second, 'healthy');
  const left = processesWith(`${RUN_VARIABLE}=${said(first, 'run') ?? ''}:`);
  if (left.length > 0) complain(`${left.length} processes of it were there when the next was up`);
  const openedMs = Math.round((await hears(second, 'open')) - killedAt);
  await Promise.all([first.closed, ended(second, scene, complain)]);
  scene.turnMs = paceOf(first, killedAfterMs, scene.turnMs);
  const executions = agent.executionsOf(world, nonce);
  const account = accountOf({ first, second, executions, isAnswered, told: scene.told, complain });
  return { turn: { killedAfterMs, account, executions, openedMs }, opened: said(second, 'open') };
}

/** The whole turn once, in another chat: how long it takes depends on the machine. */
async function timeTurn(scene: Scene): Promise<number> {
  const host = start(scene, { chatId: 'another chat', prompt: workOf(scene.agent, 'the first'), stays: false });
  go(host);
  const begin = await hears(host, 'prompting');
  const turnMs = (await hears(host, 'settled')) - begin;
  await host.closed;
  return turnMs;
}

/** Other work on the machine makes turns longer and shorter. */
function paceOf({ lines }: Host, killedAfterMs: number, beforeMs: number): number {
  const atOf = (word: string) => lines.find(({ what }) => what === word)?.at;
  const [begin = 0, end] = [atOf('prompting'), atOf('settled')];
  if (end !== undefined) return end - begin;
  return killedAfterMs > beforeMs ? beforeMs * SLOWER : beforeMs;
}

function start(scene: Scene, task: Pick<RestartingHostTask, 'chatId' | 'prompt' | 'stays'>): Host {
  const { world, agent, bundle } = scene;
  const whole: RestartingHostTask = {
    ...task,
    agent: { named: agent.name, root: world.root, modelUrl: world.model.url },
    directory: world.directory('project'),
    stateDirectory: world.directory('supervisor-state'),
    storePath: join(world.root, 'sessions', 'chats.db'),
  };
  const host = spawn(process.execPath, [bundle.path, JSON.stringify(whole)], {
    env: { ...process.env, TMPDIR: world.directory('tmp') },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: Host['lines'] = [];
  createInterface({ input: host.stdout }).on('line', (line) => {
    const [what = '', json = 'null'] = line.split(/ (.*)/s);
    lines.push({ what, value: JSON.parse(json), at: performance.now() });
  });
  host.stdin.on('error', () => undefined); // It may have ended.
  return { process: host, lines, closed: once(host, 'close') };
}

const go = ({ process: host }: Host): void => void host.stdin?.write('go\n');

const said = <K extends keyof Sayings>({ lines }: Host, what: K): Sayings[K] | undefined =>
  (lines.find((line) => line.what === what)?.value ?? undefined) as Sayings[K] | undefined;

/** The answer to the tool's result is the last. */
const hasLastAnswer = ({ model }: OpencodeWorld, nonce: string): boolean =>
  model.requests.some(({ prompt, toolResults, open }) => prompt.includes(nonce) && toolResults > 0 && !open);

/** When it said so. Rejects where it will not. */
async function hears(host: Host, what: string): Promise<number> {
  const line = () => host.lines.find((one) => one.what === what);
  const isOver = () => host.process.exitCode !== null || said(host, 'error') !== undefined;
  await until(`the host says ${what}`, () => line() !== undefined || isOver(), LIMIT_MS);
  const found = line();
  if (!found) throw new Error(`The host did not say ${what}: ${JSON.stringify(host.lines)}`);
  return found.at;
}

/** A host that stops leaves nothing, and its prompt worked. */
async function ended(host: Host, { world }: Scene, complain: Complain): Promise<void> {
  await host.closed;
  if (said(host, 'settled')?.text !== 'still here')
    complain(`the next prompt did not work: ${JSON.stringify(host.lines.slice(-3))}`);
  if (host.lines.at(-1)?.what !== 'stopped') complain('the next host did not stop');
  for (const { what, value } of host.lines) if (what === 'warning') complain(`the next host warned: ${String(value)}`);
  const processes = processesWith(world.root);
  const secrets = readdirSync(world.directory('tmp')).filter((name) => name.startsWith('agent-supervisor-'));
  const records = readdirSync(join(world.directory('supervisor-state'), 'processes'));
  const left = [...processes, ...secrets, ...records];
  if (left.length > 0) complain(`the next host left ${left.join(', ')}`);
}

interface Aftermath {
  readonly first: Host;
  readonly second: Host;
  readonly executions: number;
  /** The model had said its last word when the host was killed. */
  readonly isAnswered: boolean;
  readonly told: Set<string>;
  readonly complain: Complain;
}

function accountOf({ first, second, executions, isAnswered, told, complain }: Aftermath): Account {
  const record = said(second, 'record');
  const settled = said(first, 'settled');
  const interrupted = said(second, 'open')?.interrupted;
  if (executions > 1) complain(`its turn was executed ${executions} times`);
  // A conversation that was not remembered yet, and in which nothing was said, begins anew.
  if (record || executions > 0) expectSame(said(first, 'open'), second, complain, interrupted);
  if (interrupted) {
    expectProved(interrupted, executions, complain);
    const known = [said(first, 'prompted') ?? interrupted.turnId, record?.turn?.id];
    if (known.some((id) => id !== interrupted.turnId)) complain(`another turn was told: ${interrupted.turnId}`);
    if (told.has(interrupted.turnId)) complain('its turn was told twice');
    told.add(interrupted.turnId);
    return interrupted.outcome;
  }
  if (settled) {
    expectProved({ ...settled }, executions, complain);
    return 'settled';
  }
  const isEndOnRecord = record && !record.turn && record.lastActiveAt > (said(first, 'prompting') ?? '');
  if (isEndOnRecord && isAnswered) return 'settled unheard';
  if (!isEndOnRecord && executions === 0) return 'never sent';
  complain(`its turn was executed ${executions} times, and nobody knows: ${JSON.stringify(record)}`);
  return 'unaccounted';
}

/** What is said of a turn has to be so. */
function expectProved(
  { outcome, text }: Pick<Interruption, 'outcome' | 'text'>,
  executions: number,
  complain: Complain,
): void {
  if (outcome === 'failed' || outcome === 'cancelled') complain(`its turn was ${outcome}`);
  if (outcome === 'not-accepted' && executions !== 0) complain('its turn was not accepted, and executed');
  if (outcome !== 'completed') return;
  if (executions !== 1) complain(`its turn was completed, and executed ${executions} times`);
  if (text !== WORDS + WORDS) complain(`its turn was completed with ${JSON.stringify(text)}`);
}

/** The chat goes on in the same agent session, and the host is told of no other turn than that one. */
function expectSame(
  before: OpenedSession | undefined,
  host: Host,
  complain: Complain,
  interrupted?: Interruption,
): void {
  const { interrupted: heard, ...now } = said(host, 'open') ?? {};
  const expected = before && { agentSessionId: before.agentSessionId, restored: 'restored' };
  if (expected && JSON.stringify(now) !== JSON.stringify(expected))
    complain(`${JSON.stringify(now)} instead of ${JSON.stringify(expected)}`);
  if (heard?.turnId !== interrupted?.turnId) complain(`a turn was told once more: ${JSON.stringify(heard)}`);
}

/** The last of all tells nothing of the turns before. */
async function expectPeace(scene: Scene, before: OpenedSession | undefined): Promise<void> {
  const complain = (what: string) => void scene.violations.push(`the last host: ${what}`);
  const last = start(scene, { chatId: CHAT, prompt: NEXT, stays: false });
  go(last);
  await hears(last, 'open');
  expectSame(before, last, complain);
  await ended(last, scene, complain);
}
