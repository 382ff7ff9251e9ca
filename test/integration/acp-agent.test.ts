import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { acp, type AcpOptions } from '../../adapters/acp/index.ts';
import { RUN_VARIABLE, runId } from '../../adapters/process/run-identity.ts';
import { type AgentEvent, createSupervisor, type SupervisorOptions, type Turn } from '../../index.ts';
import { holdings, processesWith } from '../fixtures/leftovers.ts';
import { until } from '../fixtures/until.ts';

const program = fileURLToPath(new URL('../fixtures/programs/acp-agent.mjs', import.meta.url));
let root: string;
let directories = 0;
let before: ReturnType<typeof holdings>;
const stops: (() => Promise<void>)[] = [];

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'agent-supervisor-test-')));
  before = holdings();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  expect(holdings().childProcesses).toEqual(before.childProcesses);
  expect(processesWith(`${RUN_VARIABLE}=${runId()}:`)).toEqual([]);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface World {
  readonly flags?: readonly string[];
  readonly agent?: Partial<AcpOptions>;
  readonly supervisor?: Omit<SupervisorOptions, 'backends'>;
}

function start({ flags = [], agent = {}, supervisor: options = {} }: World = {}) {
  const backend = acp({ command: process.execPath, args: [program, ...flags], ...agent });
  const supervisor = createSupervisor({ backends: { agent: backend }, ...options });
  const transitions: string[] = [];
  const sessions: string[] = [];
  supervisor.on('transition', ({ kind, from, to }) => kind === 'instance' && transitions.push(`${from} → ${to}`));
  supervisor.on('session', ({ type }) => sessions.push(type));
  stops.push(() => supervisor.stop({ graceMs: 0 }));
  const open = (chatId = 'chat-1', more: { directory?: string; mode?: string; resume?: string } = {}) =>
    supervisor.openSession({ backend: 'agent', directory: directory(), chatId, ...more });
  return { supervisor, transitions, sessions, open, handle: supervisor.backend('agent') };
}

function directory(): string {
  const path = join(root, `project-${(directories += 1)}`);
  mkdirSync(path);
  return path;
}

async function eventsOf(turn: Turn): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of turn) events.push(event);
  return events;
}

const slow = '[[words 1000 every 20]]';
const firstText = async (turn: Turn) => {
  for await (const event of turn) if (event.type === 'text') return;
};

describe('a warm agent', () => {
  it('is one process and one session for all turns of a chat, and is gone after the stop', async () => {
    const { supervisor, open, transitions, handle } = start();
    const session = await open();
    const pids = [];
    for (const word of ['one', 'two', 'three']) {
      expect(await session.prompt(`[[say ${word}]]`).result).toMatchObject({ outcome: 'completed', text: word });
      pids.push(handle.status().pid);
    }
    expect(new Set(pids).size).toBe(1);
    expect((await session.prompt('[[recall]]').result).text).toBe('[[say one]] | [[say two]] | [[say three]]');
    await supervisor.stop();
    expect(transitions).toEqual(['idle → starting', 'starting → healthy', 'healthy → stopping', 'stopping → idle']);
    expect(supervisor.status()).toMatchObject({ state: 'stopped' });
  });

  it('tells thoughts, text, tools and what nobody knows, in order', async () => {
    const { open } = start();
    const session = await open();
    const events = await eventsOf(session.prompt('[[think hm]][[tool run]][[done output]][[strange]][[say bye]]'));
    expect(events.map((event) => (event.type === 'tool' ? `${event.type} ${event.tool.status}` : event.type))).toEqual([
      'reasoning',
      'tool pending',
      'tool running',
      'tool completed',
      'unknown',
      'text',
    ]);
    expect(events.find((event) => event.type === 'tool' && event.tool.status === 'completed')).toMatchObject({
      tool: { title: 'run', kind: 'execute', output: 'output' },
    });
  });

  it('is one process for each chat, or one for each directory where that is asked for', async () => {
    for (const [share, processes] of [
      ['session', 2],
      ['directory', 1],
    ] as const) {
      const { open, handle } = start({ agent: { share } });
      const place = directory();
      const [a, b] = await Promise.all([open('a', { directory: place }), open('b', { directory: place })]);
      const turns = [a.prompt('[[words 20 every 5]][[say A]]'), b.prompt('[[words 20 every 5]][[say B]]')];
      const texts = await Promise.all(turns.map(async (turn) => (await turn.result).text.at(-1)));
      expect([share, texts, handle.status().instances.length]).toEqual([share, ['A', 'B'], processes]);
    }
  });

  it('starts once for callers that come together, and not at all before', async () => {
    const { open, handle } = start({ agent: { share: 'directory' } });
    expect(handle.status()).toMatchObject({ state: 'idle', instances: [] });
    const place = directory();
    await Promise.all(Array.from({ length: 10 }, (_, index) => open(`chat-${index}`, { directory: place })));
    expect(handle.status()).toMatchObject({ state: 'healthy', sessions: 10, restarts: 0 });
    expect(handle.status().instances).toHaveLength(1);
  });

  it('may call its sessions as it likes: another process has its own', async () => {
    const { open } = start({ flags: ['counts-its-sessions'] });
    const [a, b] = await Promise.all([open('a'), open('b')]);
    expect([a.agentSessionId, b.agentSessionId]).toEqual(['session-1', 'session-1']);
    const texts = await Promise.all([a.prompt('[[say A]]').result, b.prompt('[[say B]]').result]);
    expect(texts.map(({ text }) => text)).toEqual(['A', 'B']);
  });

  it('survives what is no message, and writes nothing back for it', async () => {
    const { open } = start();
    const session = await open();
    expect(await session.prompt('[[noise]][[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('ends with its last session', async () => {
    const { open, handle } = start();
    const session = await open();
    await session.close();
    await until('the process is gone', () => handle.status().instances.length === 0, 5_000);
    expect(await session.prompt('x').result).toMatchObject({ error: { code: 'ERR_SESSION_CLOSED' } });
  });
});

describe('an agent that dies', () => {
  it('in the middle of a turn leaves it indeterminate, is restarted for the next one, and remembers', async () => {
    const { open, sessions, handle } = start();
    const session = await open();
    const { agentSessionId } = session;
    const turn = session.prompt(slow);
    await firstText(turn);
    const killedAt = performance.now();
    process.kill(handle.status().pid ?? Number.NaN, 'SIGKILL');
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate', error: { code: 'ERR_BACKEND_EXITED' } });
    expect(performance.now() - killedAt).toBeLessThan(1_000);
    expect(await session.prompt('[[recall]]').result).toMatchObject({ outcome: 'completed', text: slow });
    expect([sessions, session.agentSessionId]).toEqual([['created', 'restored'], agentSessionId]);
    expect(session.status().restored).toBe('restored');
  });

  it('by itself, too, and a prompt that comes at that moment is run once, by the next one', async () => {
    const { open } = start();
    const session = await open();
    const turn = session.prompt('[[crash]]');
    const next = session.prompt('[[say after]]');
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate' });
    expect(await next.result).toMatchObject({ outcome: 'completed', text: 'after' });
  });

  it('between turns stays down until it is needed', async () => {
    const { open, handle, transitions } = start();
    const session = await open();
    process.kill(handle.status().pid ?? Number.NaN, 'SIGKILL');
    await until('it rests', () => handle.status().state === 'idle', 5_000);
    expect(handle.status().lastError?.code).toBe('ERR_BACKEND_EXITED');
    expect(await session.prompt('[[say awake]]').result).toMatchObject({ text: 'awake' });
    expect(transitions.filter((line) => line === 'idle → starting')).toHaveLength(2);
  });

  it.each([
    ['cannot load sessions', ['cannot-load']],
    ['has forgotten the session', ['forgets']],
    ['loads an empty session for any id', ['forgets', 'loads-anything']],
  ])('and %s goes on in a new session, and the host is told', async (_, flags) => {
    const { open, sessions, handle } = start({ flags });
    const session = await open();
    await session.prompt('[[say one]]').result;
    await handle.restart();
    expect(await session.prompt('[[recall]]').result).toMatchObject({ outcome: 'completed', text: '' });
    expect(sessions).toEqual(['created', 'replaced']);
  });

  it('and says that it resumes sessions, though it does not, loads them', async () => {
    const { open, sessions, handle } = start({ flags: ['lies-about-resume'] });
    const session = await open();
    await session.prompt('[[say one]]').result;
    await handle.restart();
    expect((await session.prompt('[[recall]]').result).text).toBe('[[say one]]');
    expect(sessions).toEqual(['created', 'restored']);
  });
});

describe('a cancel of an agent’s turn', () => {
  it('ends it, and the same process serves the next one', async () => {
    const { open, handle } = start();
    const session = await open();
    const { pid } = handle.status();
    const turn = session.prompt(slow);
    await firstText(turn);
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await session.prompt('[[say next]]').result).toMatchObject({ text: 'next' });
    expect(handle.status().pid).toBe(pid);
  });

  it('answers what waits for a person, and cancels the tools that are not finished', async () => {
    const { open } = start({ supervisor: { onPermission: () => undefined } });
    const session = await open();
    const turn = session.prompt('[[tool run]][[ask allow_once]]');
    const events = eventsOf(turn);
    await until('it asks', () => session.status().running !== undefined && stops.length > 0, 5_000);
    for await (const event of turn) if (event.type === 'permission') break;
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    const tools = (await events).flatMap((event) => (event.type === 'tool' ? [event.tool.status] : []));
    expect(tools.at(-1)).toBe('cancelled');
  });

  it('that is ignored ends the process at the time limit, and the next turn works', async () => {
    const { open, handle } = start({ flags: ['ignores-cancels'], supervisor: { turn: { cancelTimeoutMs: 600 } } });
    const session = await open();
    const { pid } = handle.status();
    const turn = session.prompt(slow);
    await firstText(turn);
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled', error: { code: 'ERR_CANCEL_TIMEOUT' } });
    expect(await session.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
    expect(handle.status().pid).not.toBe(pid);
  });
});

describe('what an agent asks for', () => {
  it.each<[string, 'allow_once' | 'allow_always' | 'reject_once', string]>([
    ['reject_once allow_always allow_once', 'allow_once', 'the-allow_once'],
    ['allow_once reject_once', 'allow_always', 'the-allow_once'],
    ['allow_always reject_always', 'allow_once', 'cancelled'],
    ['allow_once reject_always', 'reject_once', 'the-reject_always'],
  ])('is answered by kind: of %s, %s selects %s', async (offered, outcome, selected) => {
    const { open } = start({ supervisor: { onPermission: () => ({ outcome }) } });
    const session = await open();
    expect((await session.prompt(`[[ask ${offered}]]`).result).text).toBe(selected);
  });

  it('is rejected where nobody handles it', async () => {
    const { open } = start();
    const session = await open();
    expect((await session.prompt('[[ask allow_once reject_once]]').result).text).toBe('the-reject_once');
  });
});

describe('the files of an agent’s session', () => {
  it('are read and written through the client inside its directory, and nowhere else', async () => {
    const { open } = start();
    const session = await open();
    const said = async (prompt: string) => (await session.prompt(prompt).result).text;
    const inside = join(session.directory, 'notes.txt');
    expect(await said(`[[write ${inside}]]`)).toBe('written');
    expect(await said(`[[read ${inside}]]`)).toBe('written by the agent');
    expect(await said('[[read /etc/hostname]]')).toContain('/etc/hostname is refused: it is not in the worktree.');
    expect(await said(`[[write ${join(root, 'outside.txt')}]]`)).toContain('is refused');
    expect(existsSync(join(root, 'outside.txt'))).toBe(false);
  });

  it('are not offered where they are not to be reached', async () => {
    const { open } = start({ agent: { fileAccess: 'none' } });
    const session = await open();
    expect((await session.prompt('[[files]]').result).text).toBe('{"readTextFile":false,"writeTextFile":false}');
    expect((await session.prompt('[[read /etc/hostname]]').result).text).toContain('Method not found');
  });
});

describe('the mode of an agent’s session', () => {
  it('is set when it is opened, and again in the next life', async () => {
    const { open, handle } = start();
    const session = await open('chat-1', { mode: 'auto' });
    await session.prompt('[[say one]]').result;
    await handle.restart();
    expect(await session.prompt('[[say two]]').result).toMatchObject({ outcome: 'completed' });
    expect(session.status().mode).toBe('auto');
  });

  it('is shown as the agent says it is, also where nobody asked for one', async () => {
    const { open } = start();
    const session = await open();
    expect(session.status().mode).toBe('ask');
    await session.prompt('[[mode auto]]').result;
    expect(session.status().mode).toBe('auto');
  });

  it('is refused where the agent has none of the name', async () => {
    const { open } = start();
    await expect(open('chat-1', { mode: 'yolo' })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining('one of ask, auto') as string,
    });
  });
});

describe('an agent that does not start', () => {
  it.each<[string, World, string, string]>([
    ['is not there', { agent: { command: '/nowhere/agent' } }, 'ERR_SPAWN_FAILED', 'install it'],
    ['is not executable', { agent: { command: program } }, 'ERR_SPAWN_FAILED', 'EACCES'],
    [
      'exits at once',
      { agent: { command: '/bin/false', restart: { maxRestarts: 0 } } },
      'ERR_RESTART_LIMIT',
      'ended with code 1',
    ],
    ['speaks another version', { flags: ['speaks-99'] }, 'ERR_VERSION_MISMATCH', 'speaks version 99'],
    ['wants a login', { flags: ['wants-a-login'] }, 'ERR_AUTH_REQUIRED', 'it offers login'],
    [
      'never answers',
      { flags: ['never-initializes'], agent: { initializeTimeoutMs: 300, restart: { maxRestarts: 0 } } },
      'ERR_RESTART_LIMIT',
      'initialize not ready in 300ms',
    ],
  ])('because it %s fails with a typed error, and nothing is left', async (_, world, code, message) => {
    const { open, handle } = start(world);
    await expect(open()).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
    await until('nothing is left', () => handle.status().instances.length === 0, 5_000);
  });

  it('for a session that it does not know says so', async () => {
    const { open } = start({ agent: { restart: { maxRestarts: 0 } } });
    await expect(open('chat-1', { resume: 'unknown' })).rejects.toMatchObject({ code: 'ERR_RESTART_LIMIT' });
  });

  it('in a directory that does not exist fails for good', async () => {
    const { open } = start();
    await expect(open('chat-1', { directory: join(root, 'nowhere') })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  });
});

describe('a turn of an agent', () => {
  it('fails with the agent’s own words', async () => {
    const { open } = start();
    const session = await open();
    expect(await session.prompt('[[fail the model is gone]]').result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_TURN_FAILED', message: 'the model is gone' },
    });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed' });
  });

  it('that stalls ends after its inactivity limit', async () => {
    const { open } = start({ supervisor: { turn: { inactivityTimeoutMs: 500, cancelTimeoutMs: 400 } } });
    const session = await open();
    expect(await session.prompt('[[say one]][[stall]]').result).toMatchObject({
      outcome: 'failed',
      text: 'one',
      error: { code: 'ERR_TURN_INACTIVE' },
    });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });
});
