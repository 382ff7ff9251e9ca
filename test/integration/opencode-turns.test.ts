import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentEvent, createSupervisor, type PermissionDecision, type Session, type Turn } from '../../index.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

let world: OpencodeWorld;
let decide: () => PermissionDecision | undefined = () => undefined;

const create = () =>
  createSupervisor({
    backends: {
      code: world.backend({ config: world.config({ permission: { bash: { '*': 'allow', 'touch *': 'ask' } } }) }),
    },
    onPermission: () => decide(),
    onQuestion: () => ({ action: 'accept', answers: [['Blue']] }),
  });
let supervisor: ReturnType<typeof create>;

beforeAll(async () => {
  world = await OpencodeWorld.create();
  supervisor = create();
  await supervisor.backend('code').start();
});
afterAll(async () => {
  await supervisor.stop();
  await world.remove();
});

const open = (directory = world.directory()): Promise<Session> =>
  supervisor.openSession({ backend: 'code', directory, title: 'A title' });

async function eventsOf(turn: Turn): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of turn) events.push(event);
  return events;
}

const textOf = (events: readonly AgentEvent[]) =>
  events.map((event) => (event.type === 'text' && !event.origin ? event.text : '')).join('');
const bash = (command: string) => `[[tool bash ${JSON.stringify({ command, description: 'a command' })}]]`;

describe('a turn on a real opencode server', () => {
  it('streams reasoning, text, tools and usage, and is completed', async () => {
    const session = await open();
    const turn = session.prompt(
      `[[think Let me see. ]][[say Hello wörld 🎉 ]]${bash('echo from the tool')}[[say Done.]]`,
    );
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({
      outcome: 'completed',
      stopReason: 'end_turn',
      text: 'Hello wörld 🎉 Done.',
      usage: { inputTokens: 20, outputTokens: 10, totalTokens: 30 },
    });
    expect(textOf(events)).toBe('Hello wörld 🎉 Done.');
    expect(
      events
        .filter((event) => event.type === 'reasoning')
        .map((event) => event.text)
        .join(''),
    ).toBe('Let me see. ');
    const tools = events.filter((event) => event.type === 'tool').map((event) => event.tool);
    expect(tools.at(-1)).toMatchObject({ name: 'bash', status: 'completed', output: 'from the tool\n' });
    expect(new Set(tools.map(({ id }) => id)).size).toBe(1);
  });

  it('remembers the turn before', async () => {
    const session = await open();
    await session.prompt('[[say one]]').result;
    await session.prompt('[[say two]]').result;
    const messages = await session.messages();
    expect(messages.map(({ role, text }) => [role, text])).toEqual([
      ['user', '[[say one]]'],
      ['assistant', 'one'],
      ['user', '[[say two]]'],
      ['assistant', 'two'],
    ]);
  });

  it('runs the prompts of a session one after the other', async () => {
    const session = await open();
    const turns = ['one', 'two', 'three'].map((word) => session.prompt(`[[say ${word}]]`));
    expect(await Promise.all(turns.map(async (turn) => (await turn.result).text))).toEqual(['one', 'two', 'three']);
  });

  it('does not tell a text twice when the model’s answer breaks off and is repeated', async () => {
    const session = await open();
    const turn = session.prompt('[[say Partial ]][[reset once]][[say Hello]]');
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'Partial Hello' });
    expect(textOf(events)).toBe('Partial Hello');
    expect(events.some((event) => event.type === 'retry')).toBe(true);
  });

  it('fails with the model’s refusal', async () => {
    const session = await open();
    expect(await session.prompt('[[status 401]]').result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_TURN_FAILED', message: expect.stringContaining('APIError') as string, retryable: false },
    });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('fails for a model that does not exist, and the session goes on', async () => {
    const session = await open();
    const turn = session.prompt('[[say x]]', { model: 'nobody/nothing' });
    expect(await turn.result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_INVALID_OPTION' } });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });

  it('takes images and files', async () => {
    const directory = world.directory();
    writeFileSync(join(directory, 'notes.txt'), 'the content of the notes');
    const session = await open(directory);
    const turn = session.prompt([
      { type: 'text', text: '[[say seen]]' },
      { type: 'file', path: join(directory, 'notes.txt') },
      {
        type: 'image',
        mimeType: 'image/png',
        data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
      },
    ]);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'seen' });
    expect(world.model.requests.some(({ prompt }) => prompt.includes('the content of the notes'))).toBe(true);
  });

  it('lets a subagent speak in the turn, under its own name', async () => {
    const session = await open();
    const task = { description: 'sub', prompt: 'hello subagent', subagent_type: 'general' };
    const turn = session.prompt(`[[tool task ${JSON.stringify(task)}]][[say I am the agent]]`);
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'I am the agent' });
    const sub = events.filter((event) => event.type === 'text' && event.origin);
    expect(sub.map((event) => event.type === 'text' && event.text).join('')).toBe('You said: hello subagent');
    const [spawned] = sub.map((event) => event.origin?.subagentSessionId);
    expect(
      supervisor
        .backend('code')
        .spawnedSessions()
        .has(spawned ?? ''),
    ).toBe(true);
  });
});

describe('a directory that another client gives up on a real opencode server', () => {
  it('leaves the turn in it indeterminate, and the next prompt works', async () => {
    const session = await open();
    const turn = session.prompt('[[words 500 every 20]]');
    for await (const event of turn) if (event.type === 'text') break;
    const { client } = await supervisor.backend('code').acquire();
    await client.instance.dispose({ directory: session.directory });
    expect(await turn.result).toMatchObject({ outcome: 'indeterminate', error: { code: 'ERR_BACKEND_EXITED' } });
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed', text: 'fine' });
  });
});

describe('decisions on a real opencode server', () => {
  it('let the agent do what was allowed', async () => {
    const directory = world.directory();
    const session = await open(directory);
    decide = () => ({ outcome: 'allow_once' });
    const turn = session.prompt(`${bash('touch allowed.txt')}[[say done]]`);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'done' });
    expect(existsSync(join(directory, 'allowed.txt'))).toBe(true);
  });

  it('end the turn as rejected where they reject, and nothing is done', async () => {
    const directory = world.directory();
    const session = await open(directory);
    decide = () => ({ outcome: 'reject_once' });
    const turn = session.prompt(`${bash('touch rejected.txt')}[[say done]]`);
    expect(await turn.result).toMatchObject({ outcome: 'completed', stopReason: 'rejected' });
    expect(existsSync(join(directory, 'rejected.txt'))).toBe(false);
    expect(await session.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
  });

  it('can be made later, by decide()', async () => {
    const directory = world.directory();
    const session = await open(directory);
    decide = () => undefined;
    const turn = session.prompt(`${bash('touch later.txt')}[[say done]]`);
    for await (const event of turn) {
      if (event.type !== 'permission' || event.decision) continue;
      expect(supervisor.pendingDecisions().map(({ id }) => id)).toEqual([event.request.id]);
      expect(event.request).toMatchObject({ permission: 'bash', patterns: ['touch later.txt'], directory });
      expect(supervisor.decide(event.request.id, { outcome: 'allow_once' })).toBe(true);
    }
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'done' });
    expect(existsSync(join(directory, 'later.txt'))).toBe(true);
  });

  it('answer the agent’s questions', async () => {
    const session = await open();
    const questions = [
      {
        question: 'Which colour?',
        header: 'Colour',
        options: [
          { label: 'Red', description: 'r' },
          { label: 'Blue', description: 'b' },
        ],
      },
    ];
    const turn = session.prompt(`[[tool question ${JSON.stringify({ questions })}]][[say thanks]]`);
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'thanks' });
    expect(events.filter((event) => event.type === 'question').map((event) => event.answer)).toEqual([
      undefined,
      { action: 'accept', answers: [['Blue']] },
    ]);
  });

  it('that are open when the turn is cancelled leave nothing pending', async () => {
    const session = await open();
    decide = () => undefined;
    const turn = session.prompt(`${bash('touch never.txt')}[[say done]]`);
    for await (const event of turn) if (event.type === 'permission') break;
    await turn.cancel();
    expect([await turn.result, supervisor.pendingDecisions()]).toMatchObject([{ outcome: 'cancelled' }, []]);
    expect(await session.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
  });
});

describe('a cancel on a real opencode server', () => {
  it.each<[string, string, (event: AgentEvent) => boolean]>([
    ['while the answer streams', '[[words 500 every 20]]', ({ type }) => type === 'text'],
    ['while a tool runs', bash('sleep 30'), (event) => event.type === 'tool' && event.tool.status === 'running'],
    ['while the model is silent', '[[say One moment.]][[stall]]', ({ type }) => type === 'text'],
    ['while the model’s request is repeated', '[[status 500]]', ({ type }) => type === 'retry'],
  ])('%s ends the turn, and the next turn is unharmed', async (_, prompt, isMoment) => {
    const session = await open();
    const turn = session.prompt(prompt);
    for await (const event of turn) if (isMoment(event)) break;
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await session.prompt('[[say unharmed]]').result).toMatchObject({ outcome: 'completed', text: 'unharmed' });
    expect(world.model.openRequests).toBe(0);
  });

  it('right behind the first prompt in a cold directory takes, though the server does not hear it at first', async () => {
    const session = await open();
    const turn = session.prompt('[[words 500 every 20]]');
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await session.prompt('[[say unharmed]]').result).toMatchObject({ outcome: 'completed', text: 'unharmed' });
  });
});

describe('sessions on a real opencode server', () => {
  it('share one connection, twenty streaming at once in one directory, and each gets exactly its own text', async () => {
    const connections: string[] = [];
    const onRequest = (message: unknown) => {
      const { path } = (message as { request: { path: string } }).request;
      if (path.startsWith('/global/event') || path.startsWith('/event')) connections.push(path);
    };
    subscribe('http.client.request.start', onRequest);
    const own = createSupervisor({ backends: { code: world.backend() } });
    try {
      const directory = world.directory();
      const sessions = await Promise.all(
        Array.from({ length: 20 }, () => own.openSession({ backend: 'code', directory })),
      );
      const words = (index: number) => Array.from({ length: 30 }, (_, word) => `s${index}w${word} `).join('');
      const turns = sessions.map((session, index) => session.prompt(`[[say ${words(index)}]][[words 20 every 5]]`));
      const streamed = await Promise.all(turns.map(async (turn) => textOf(await eventsOf(turn))));
      const tail = Array.from({ length: 20 }, (_, word) => `w${word} `).join('');
      expect(streamed).toEqual(sessions.map((_, index) => words(index) + tail));
      expect(connections).toEqual(['/global/event']);
    } finally {
      unsubscribe('http.client.request.start', onRequest);
      await own.stop();
    }
  });

  it('can be listed, continued by id, forked, and deleted', async () => {
    const directory = world.directory();
    const session = await open(directory);
    await session.prompt('[[say remember me]]').result;
    const listed = await supervisor.backend('code').listSessions({ directory });
    expect(listed).toMatchObject([{ id: session.agentSessionId, title: 'A title', directory }]);
    await session.close();
    const again = await supervisor.openSession({ backend: 'code', directory, resume: session.agentSessionId });
    expect(again.status().restored).toBe('restored');
    expect((await again.messages()).map(({ text }) => text)).toEqual(['[[say remember me]]', 'remember me']);
    const forked = await again.fork();
    expect(forked.agentSessionId).not.toBe(session.agentSessionId);
    expect((await forked.messages()).map(({ text }) => text)).toEqual(['[[say remember me]]', 'remember me']);
    await forked.close({ delete: true });
    expect((await supervisor.backend('code').listSessions({ directory })).map(({ id }) => id)).not.toContain(
      forked.agentSessionId,
    );
  });

  it.each<[string, () => object, string]>([
    ['a relative directory', () => ({ directory: 'project' }), 'expected an absolute path'],
    ['a directory that does not exist', () => ({ directory: join(world.root, 'nowhere') }), 'nothing at'],
    ['a directory that is a file', () => ({ directory: '/etc/hostname' }), 'a file at'],
    [
      'a model without a provider',
      () => ({ directory: world.directory(), model: 'gpt' }),
      'model: expected "provider/model"',
    ],
    ['a session id that is none', () => ({ directory: world.directory(), resume: 'abc' }), 'resume: expected'],
  ])('are not opened with %s', async (_, options, message) => {
    await expect(supervisor.openSession({ backend: 'code', ...options() } as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message) as string,
    });
  });

  it('that the server does not know cannot be continued', async () => {
    const opening = supervisor.openSession({
      backend: 'code',
      directory: world.directory(),
      resume: 'ses_0000000000000000000000000A',
    });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_SESSION_NOT_FOUND' });
  });

  it('in a directory whose configuration is broken are refused, with its path and without its text; the server and the others go on', async () => {
    const broken = world.directory();
    writeFileSync(join(broken, 'opencode.json'), '{"model": 5, "canary": "sk-secret-canary"}');
    const session = await open();
    const refused: unknown = await open(broken).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'ERR_CONFIG_INVALID',
      message: expect.stringContaining(join(broken, 'opencode.json')) as string,
    });
    expect((refused as Error).message).not.toContain('canary');
    expect(await session.prompt('[[say fine]]').result).toMatchObject({ outcome: 'completed' });
    expect(supervisor.backend('code').status()).toMatchObject({ state: 'healthy', restarts: 0 });
  });
});

describe('secrets', () => {
  it('in the configuration reach the model, and no tool of the agent', async () => {
    const session = await open();
    const turn = session.prompt(`${bash('env')}[[say done]]`);
    const events = await eventsOf(turn);
    const output =
      events
        .filter((event) => event.type === 'tool')
        .map((event) => event.tool.output)
        .at(-1) ?? '';
    expect(output).toContain('OPENCODE_CONFIG_CONTENT');
    expect(output).not.toContain('scripted-key-canary');
    expect(world.model.requests.at(-1)?.authorization).toBe('Bearer scripted-key-canary');
    expect(JSON.stringify(supervisor.status())).not.toContain('canary');
  });

  it('protect the server: it answers nobody without its password', async () => {
    const { baseUrl, client } = await supervisor.backend('code').acquire();
    expect((await fetch(`${baseUrl}/global/health`)).status).toBe(401);
    expect((await client.global.health()).data).toMatchObject({ healthy: true });
  });
});
