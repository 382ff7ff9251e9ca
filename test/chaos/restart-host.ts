import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { RUN_VARIABLE } from '../../adapters/process/run-identity.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { processesWith } from '../fixtures/leftovers.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import type { OpenedSession } from '../fixtures/programs/restarting-host.ts';
import {
  bundleRestartingHost,
  go,
  hears,
  type HostPlace,
  type RestartingHost,
  said,
  startHost,
} from '../fixtures/restarting-host.ts';
import { type Account, accountOf, expectSame } from './restart-accounts.ts';
import { watched } from './watched.ts';

/** One host that was killed, and what the next one made of that. */
export interface RestartedHost {
  /** Since it said that it prompts. */
  readonly killedAfterMs: number;
  /** It was frozen for so long before that, while the agent went on. */
  readonly frozenMs: number;
  /** From the kill until the next host has opened the chat. */
  readonly openedMs: number;
  readonly account: Account;
  readonly executions: number;
}

export interface RestartOptions {
  readonly agent: AgentUnderTest;
  readonly runs: number;
  /** Numbers in [0, 1): when to kill. */
  readonly random: () => number;
  readonly onTurn?: (turn: RestartedHost, index: number) => void;
}

interface Scene extends RestartOptions, HostPlace {
  readonly violations: string[];
  /** Turns that hosts were told of. */
  readonly told: Set<string>;
  /** So long a turn takes here at present, in milliseconds. */
  turnMs: number;
}

interface Run {
  readonly nonce: string;
  /** What the host before said of the chat. */
  readonly before: OpenedSession | undefined;
  readonly isFrozen: boolean;
  readonly complain: (what: string) => void;
}

/** Kills come up to so much later than the end of a turn. */
const BEYOND = 1.2;
/** A turn that has not ended by then takes so much longer now. */
const SLOWER = 1.5;
/** Every so many hosts are frozen before they are killed, for the time of a turn: only then an agent ends a turn without its host. */
const FROZEN_EVERY = 3;
const CHAT = 'the chat';
const WORDS = Array.from({ length: 20 }, (_, index) => `w${index} `).join('');
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

async function restartAll(scene: Scene): Promise<readonly RestartedHost[]> {
  const { agent, world, runs, random, violations, onTurn } = scene;
  const turns: RestartedHost[] = [];
  const nonces: string[] = [];
  let before: OpenedSession | undefined;
  scene.turnMs = await timeTurn(scene);
  for (let index = 0; index < runs; index += 1) {
    const complain = (what: string) => void violations.push(`host ${index}: ${what}`);
    const nonce = `nonce-${index}-${Math.trunc(random() * 1e9)}-end`;
    nonces.push(nonce);
    const { turn, opened } = await restart(scene, { nonce, before, isFrozen: index % FROZEN_EVERY === 1, complain });
    before = opened;
    turns.push(turn);
    onTurn?.(turn, index);
  }
  await expectPeace(scene, before);
  for (const [index, nonce] of nonces.entries())
    if (agent.executionsOf(world, nonce) !== turns[index]?.executions)
      violations.push(`host ${index}: its turn was executed later`);
  return turns;
}

async function restart(scene: Scene, { nonce, before, isFrozen, complain }: Run) {
  const { agent, world, random, told } = scene;
  const first = startHost(scene, { chatId: CHAT, prompt: workOf(agent, nonce), stays: true });
  const second = startHost(scene, { chatId: CHAT, prompt: NEXT, stays: false });
  go(first);
  await hears(first, 'prompting');
  expectSame(before, first, complain);
  const [ranMs, frozenMs] = [random() * scene.turnMs * BEYOND, isFrozen ? scene.turnMs : 0];
  await pause(ranMs);
  if (isFrozen) first.process.kill('SIGSTOP');
  await pause(frozenMs);
  const isAnswered = hasLastAnswer(world, nonce);
  first.process.kill('SIGKILL');
  const killedAt = performance.now();
  go(second);
  await hears(second, 'healthy');
  const left = processesWith(`${RUN_VARIABLE}=${said(first, 'run') ?? ''}:`);
  if (left.length > 0) complain(`${left.length} processes of it were there when the next was up`);
  const openedMs = Math.round((await hears(second, 'open')) - killedAt);
  await Promise.all([first.closed, expectCleanEnd(second, scene, complain)]);
  scene.turnMs = paceOf(first, ranMs, scene.turnMs);
  const executions = agent.executionsOf(world, nonce);
  const account = accountOf({ first, second, executions, isAnswered, text: WORDS + WORDS, told, complain });
  const times = { killedAfterMs: Math.round(ranMs + frozenMs), frozenMs: Math.round(frozenMs), openedMs };
  return { turn: { ...times, account, executions }, opened: said(second, 'open') };
}

/** The whole turn once, in another chat: how long it takes depends on the machine. */
async function timeTurn(scene: Scene): Promise<number> {
  const prompt = workOf(scene.agent, 'the first');
  const host = startHost(scene, { chatId: 'another chat', prompt, stays: false });
  go(host);
  const begin = await hears(host, 'prompting');
  const turnMs = (await hears(host, 'settled')) - begin;
  await host.closed;
  return turnMs;
}

/** Other work on the machine makes turns longer and shorter. */
function paceOf({ lines }: RestartingHost, ranMs: number, beforeMs: number): number {
  const atOf = (word: string) => lines.find(({ what }) => what === word)?.at;
  const [begin = 0, end] = [atOf('prompting'), atOf('settled')];
  if (end !== undefined) return end - begin;
  return ranMs > beforeMs ? beforeMs * SLOWER : beforeMs;
}

/** The answer to the tool's result is the last. */
const hasLastAnswer = ({ model }: OpencodeWorld, nonce: string): boolean =>
  model.requests.some(({ prompt, toolResults, open }) => prompt.includes(nonce) && toolResults > 0 && !open);

/** A host that stops leaves nothing, and its prompt worked. */
async function expectCleanEnd(host: RestartingHost, { world }: Scene, complain: (what: string) => void): Promise<void> {
  await host.closed;
  if (said(host, 'settled')?.text !== 'still here')
    complain(`the next prompt did not work: ${JSON.stringify(host.lines.slice(-3))}`);
  if (host.lines.at(-1)?.what !== 'stopped') complain('the next host did not stop');
  for (const { what, value } of host.lines) if (what === 'warning') complain(`the next host warned: ${String(value)}`);
  const secrets = readdirSync(world.directory('tmp')).filter((name) => name.startsWith('agent-supervisor-'));
  const records = readdirSync(join(world.directory('supervisor-state'), 'processes'));
  const left = [...processesWith(world.root), ...secrets, ...records];
  if (left.length > 0) complain(`the next host left ${left.join(', ')}`);
}

/** The last of all tells nothing of the turns before. */
async function expectPeace(scene: Scene, before: OpenedSession | undefined): Promise<void> {
  const complain = (what: string) => void scene.violations.push(`the last host: ${what}`);
  const last = startHost(scene, { chatId: CHAT, prompt: NEXT, stays: false });
  go(last);
  await hears(last, 'open');
  expectSame(before, last, complain);
  await expectCleanEnd(last, scene, complain);
}
