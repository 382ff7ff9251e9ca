import { setTimeout as pause } from 'node:timers/promises';
import { createSupervisor, type Session, type Supervisor, type Turn, type TurnResult } from '../../index.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { holdings, processesWith } from '../fixtures/leftovers.ts';
import type { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { countSettlements } from './settlements.ts';
import { watched } from './watched.ts';

/** One turn of one of many chats that share few places. */
export interface CrowdTurn {
  readonly chat: number;
  readonly outcome: TurnResult['outcome'];
  /** Whether its agent was started again for it; the wait for a place is in the time then. */
  readonly isRestored: boolean;
  /** From the prompt to the first words, in milliseconds; absent where there were none. */
  readonly firstWordsMs?: number;
}

export interface CrowdReport {
  readonly turns: readonly CrowdTurn[];
  readonly evictions: number;
  readonly restores: number;
  /** Processes of the agent at once, as the system saw them. */
  readonly mostProcesses: number;
  readonly violations: readonly string[];
}

export interface CrowdOptions {
  readonly agent: AgentUnderTest;
  readonly chats: number;
  readonly places: number;
  /** Of each chat, before it is asked what it remembers. */
  readonly prompts: number;
  readonly random: () => number;
  /** Longest rest of a chat before a prompt, in milliseconds. */
  readonly maxRestMs: number;
  readonly onTurn?: (turn: CrowdTurn, index: number) => void;
}

interface Scene extends CrowdOptions {
  readonly world: OpencodeWorld;
  readonly supervisor: Supervisor;
  readonly tally: ReturnType<typeof tallyOf>;
  readonly turns: CrowdTurn[];
  readonly told: (what: string) => void;
}

/** One prompt, as the seed has it. */
interface Step {
  readonly restMs: number;
  readonly hasTool: boolean;
  readonly cancelAfterMs: number | undefined;
}

const SAMPLE_MS = 20;
const OPEN_LIMIT_MS = 300_000;
const CANCEL_WITHIN_MS = 1_500;
/** So often a chat prompts again as soon as its turn is over. */
const SPEAKS_ON = 0.4;
const LAST_WORD = 'w14';

/** Many chats of a real agent over few places: each forgets nothing, hears nothing of the others, and none has more than its place. */
export async function crowd(options: CrowdOptions): Promise<CrowdReport> {
  const violations: string[] = [];
  const report = await watched(violations, (world) => run(options, world, (what) => void violations.push(what)));
  return { ...report, violations };
}

async function run(
  options: CrowdOptions,
  world: OpencodeWorld,
  told: (what: string) => void,
): Promise<Omit<CrowdReport, 'violations'>> {
  const { agent, chats, places, maxRestMs } = options;
  const supervisor = createSupervisor({
    backends: { agent: agent.backend(world) },
    pool: { maxWarm: places, maxWaiting: chats, idleTtlMs: maxRestMs, sweepMs: 500 },
    openTimeoutMs: OPEN_LIMIT_MS,
    stateDirectory: world.directory('supervisor-state'),
    onPermission: () => ({ outcome: 'allow_once' }),
  });
  const scene = { ...options, world, supervisor, told, tally: tallyOf(supervisor, told), turns: [] };
  const stopSampling = sampleProcesses(world);
  try {
    const plans = Array.from({ length: chats }, () => planOf(options));
    await Promise.all(plans.map((plan, chat) => converse(scene, chat, plan)));
  } finally {
    await supervisor.stop({ graceMs: 0 });
  }
  const mostProcesses = await stopSampling();
  if (mostProcesses > places) told(`${mostProcesses} processes at once`);
  return { turns: scene.turns, evictions: scene.tally.evictions, restores: scene.tally.restores, mostProcesses };
}

/** What happens to the sessions, by chat. */
function tallyOf(supervisor: Supervisor, told: (what: string) => void) {
  const tally = {
    evictions: 0,
    restores: 0,
    restored: new Set<string>(),
    /** An agent works for them. */
    heard: new Set<string>(),
    settlements: countSettlements(supervisor),
  };
  supervisor.on('session', ({ type, chatId }) => {
    if (type === 'evicted') tally.evictions += 1;
    if (type === 'evicted' && tally.heard.has(chatId)) told(`${chatId} was evicted in the middle of a turn`);
    if (type === 'restored') tally.restores += 1;
    if (type === 'restored') tally.restored.add(chatId);
    if (type === 'replaced' || type === 'interrupted') told(`${chatId} was ${type}`);
  });
  return tally;
}

function planOf({ random, prompts, maxRestMs }: CrowdOptions): readonly Step[] {
  return Array.from({ length: prompts }, () => ({
    restMs: random() < SPEAKS_ON ? 0 : random() * maxRestMs,
    hasTool: random() < 0.25,
    cancelAfterMs: random() < 0.1 ? random() * CANCEL_WITHIN_MS : undefined,
  }));
}

async function converse(scene: Scene, chat: number, plan: readonly Step[]): Promise<void> {
  const { world, supervisor, told, maxRestMs } = scene;
  const directory = world.directory();
  const session = await supervisor.openSession({ backend: 'agent', directory, chatId: `chat-${chat}` });
  const said: string[] = [];
  for (const [number, step] of plan.entries()) {
    await pause(step.restMs);
    const words = `words-of-${chat}-${number}.`;
    const { outcome } = await prompt(scene, session, chat, words, step);
    if (outcome === 'completed') said.push(words);
  }
  await pause(maxRestMs / 2);
  const { text } = await hear(scene, session.prompt('[[fresh]][[recall]]'), session, chat);
  const lost = said.filter((words) => !text.includes(words));
  if (lost.length > 0) told(`chat ${chat} has forgotten ${lost.join(', ')}: ${text}`);
  const foreign = [...text.matchAll(/words-of-(\d+)-/g)].filter(([, of]) => Number(of) !== chat);
  if (foreign.length > 0) told(`chat ${chat} knows of others: ${text}`);
}

async function prompt(scene: Scene, session: Session, chat: number, words: string, step: Step): Promise<TurnResult> {
  const { agent, world, told } = scene;
  const tool = step.hasTool ? agent.shell('true') : '';
  const turn = session.prompt(`[[fresh]]${words} [[words 15 every 20]]${tool}[[say  and ${LAST_WORD}]]`);
  const over = new AbortController();
  const cancelled = cancelLater(turn, step.cancelAfterMs, over.signal);
  const result = await hear(scene, turn, session, chat);
  over.abort();
  const isExpected = result.outcome === 'completed' || (result.outcome === 'cancelled' && (await cancelled));
  if (!isExpected) told(`${words} was ${result.outcome}: ${JSON.stringify(result.error)}`);
  const executions = agent.executionsOf(world, words);
  if (executions > 1) told(`${words} was executed ${executions} times`);
  if (result.outcome !== 'completed') return result;
  if (executions === 0) told(`${words} was never executed`);
  if (!result.text.trimEnd().endsWith(LAST_WORD)) told(`${words} was not answered to the end: ${result.text}`);
  return result;
}

/** Whether it was asked to end. */
async function cancelLater(turn: Turn, afterMs: number | undefined, over: AbortSignal): Promise<boolean> {
  if (afterMs === undefined) return false;
  const isOver = await pause(afterMs, false, { signal: over }).catch(() => true);
  if (!isOver) await turn.cancel();
  return !isOver;
}

async function hear(scene: Scene, turn: Turn, session: Session, chat: number): Promise<TurnResult> {
  const { tally, told, turns } = scene;
  const { chatId } = session;
  const since = performance.now();
  let firstWordsMs: number | undefined;
  tally.restored.delete(chatId);
  for await (const { type } of turn) {
    tally.heard.add(chatId);
    if (type === 'text') firstWordsMs ??= Math.round(performance.now() - since);
  }
  tally.heard.delete(chatId);
  const result = await turn.result;
  const settlements = tally.settlements.get(turn.id) ?? 0;
  if (settlements !== 1) told(`a turn of chat ${chat} settled ${settlements} times`);
  const isRestored = tally.restored.has(chatId);
  turns.push({ chat, outcome: result.outcome, isRestored, ...(firstWordsMs === undefined ? {} : { firstWordsMs }) });
  scene.onTurn?.(turns.at(-1)!, turns.length - 1);
  return result;
}

/** Counts the agents among this process's children, again and again. The function ends that, and tells the most. */
function sampleProcesses({ root }: OpencodeWorld): () => Promise<number> {
  const over = new AbortController();
  const sampling = (async () => {
    let most = 0;
    while (!over.signal.aborted) {
      const inWorld = new Set(processesWith(root));
      most = Math.max(most, holdings().childProcesses.filter((pid) => inWorld.has(pid)).length);
      await pause(SAMPLE_MS);
    }
    return most;
  })();
  return () => {
    over.abort();
    return sampling;
  };
}
