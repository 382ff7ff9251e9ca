import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AgentEvent, createSupervisor, type PermissionDecision, type Session, type Turn } from '../../index.ts';
import type { AgentUnderTest } from '../fixtures/agent-worlds.ts';
import { holdings, processesWith } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { until } from '../fixtures/until.ts';

/** Everything, or what shows in a minute that the program is driven at all. */
const IS_WHOLE = process.env['CONTRACT'] === 'whole';

/** What every backend does, whatever it is made of. */
export function describeContract(agent: AgentUnderTest): void {
  describe.skipIf(!agent.isInstalled)(`the contract of a backend, with ${agent.name}`, () => {
    const whole = (name: string, test: () => Promise<void>) => {
      if (IS_WHOLE) it(name, test);
    };
    let world: OpencodeWorld;
    let before: ReturnType<typeof holdings>;
    let decision: PermissionDecision | undefined;
    let supervisor: ReturnType<typeof create>;
    const create = () => createSupervisor({ backends: { agent: agent.backend(world) }, onPermission: () => decision });
    const open = (directory = world.directory()): Promise<Session> =>
      supervisor.openSession({ backend: 'agent', directory, chatId: directory, title: 'A title' });
    const pidOf = () => supervisor.backend('agent').status().pid ?? Number.NaN;

    beforeAll(async () => {
      world = await OpencodeWorld.create();
      before = holdings();
    });
    beforeEach(() => {
      decision = { outcome: 'allow_once' };
      supervisor = create();
    });
    afterEach(async () => {
      await supervisor.stop({ graceMs: 0 });
      expect(holdings().childProcesses).toEqual(before.childProcesses);
      expect(processesWith(world.root)).toEqual([]);
    });
    afterAll(() => world.remove());

    it('a turn streams its text, and is completed; the next one remembers it', async () => {
      const session = await open();
      const turn = session.prompt('[[words 20 every 5]][[say and the end.]]');
      const texts = (await eventsOf(turn)).filter((event) => event.type === 'text');
      const result = await turn.result;
      expect(result).toMatchObject({ outcome: 'completed', stopReason: 'end_turn' });
      expect([result.text.startsWith('w0 w1 w2'), result.text.endsWith('and the end.')]).toEqual([true, true]);
      expect(texts.length).toBeGreaterThan(0);
      expect((await session.prompt('[[fresh]][[recall]]').result).text).toContain('words 20 every 5');
    });

    it('a process that is killed in the middle of a turn costs that turn, once, and nothing else', async () => {
      const session = await open();
      const turn = session.prompt('nonce-1 [[words 1000 every 20]]');
      await firstText(turn);
      process.kill(pidOf(), 'SIGKILL');
      expect(await turn.result).toMatchObject({ outcome: 'indeterminate' });
      expect(await session.prompt('[[fresh]][[say Back again]]').result).toMatchObject({
        outcome: 'completed',
        text: 'Back again',
      });
      expect(agent.executionsOf(world, 'nonce-1')).toBe(1);
    });

    it('a turn that is cancelled ends as cancelled, and the next one works in the same process', async () => {
      const session = await open();
      const pid = pidOf();
      const turn = session.prompt('[[words 1000 every 20]]');
      await firstText(turn);
      await turn.cancel();
      expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
      await until('the model is left alone', () => world.model.openRequests === 0, 1_000);
      expect(await session.prompt('[[fresh]][[say Next]]').result).toMatchObject({
        outcome: 'completed',
        text: 'Next',
      });
      expect(pidOf()).toBe(pid);
    });

    whole('what is said is heard while the turn still runs', async () => {
      const session = await open();
      const turn = session.prompt('[[words 40 every 50]]');
      let said = '';
      for await (const event of turn) {
        if (event.type === 'text') said = event.text;
        if (said !== '') break;
      }
      expect([session.status().running, supervisor.status().backends['agent']?.busy]).toEqual([turn.id, true]);
      const { text } = await turn.result;
      expect([text.startsWith(said), text.length > said.length]).toEqual([true, true]);
    });

    whole('a tool that is allowed runs', async () => {
      const session = await open();
      const turn = session.prompt(`${agent.tool}[[say Done]]`);
      const events = await eventsOf(turn);
      expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'Done' });
      expect(events.some((event) => event.type === 'tool' && event.tool.status === 'completed')).toBe(true);
      expect(existsSync(join(session.directory, 'done.txt'))).toBe(true);
    });

    whole('a tool that is rejected does not run', async () => {
      decision = { outcome: 'reject_once' };
      const session = await open();
      const turn = session.prompt(`${agent.tool}[[say Done]]`);
      expect((await turn.result).outcome).not.toBe('indeterminate');
      expect(existsSync(join(session.directory, 'done.txt'))).toBe(false);
      expect(await session.prompt('[[fresh]][[say Next]]').result).toMatchObject({
        outcome: 'completed',
        text: 'Next',
      });
    });

    whole('a turn that is cancelled while a person is asked ends, and nothing waits any more', async () => {
      decision = undefined;
      const session = await open();
      const turn = session.prompt(agent.tool);
      for await (const event of turn) if (event.type === 'permission') break;
      await turn.cancel();
      expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
      expect(supervisor.pendingDecisions()).toEqual([]);
      expect(existsSync(join(session.directory, 'done.txt'))).toBe(false);
      expect(await session.prompt('[[fresh]][[say Next]]').result).toMatchObject({
        outcome: 'completed',
        text: 'Next',
      });
    });

    whole('a process that dies between turns is there again for the next one, and remembers', async () => {
      const session = await open();
      await session.prompt('[[say Remember this]]').result;
      const pid = pidOf();
      process.kill(pid, 'SIGKILL');
      await until('it is noticed', () => pidOf() !== pid, 5_000);
      const result = await session.prompt('[[fresh]][[recall]]').result;
      expect([result.outcome, result.text.includes('Remember this')]).toEqual(['completed', true]);
    });

    whole('what it says that it can do with a session it can do', async () => {
      const session = await open();
      const { fork, listSessions, deleteSession, setModel, setMode } = session.capabilities;
      await session.prompt('[[say Remember this]]').result;
      expect((await session.messages()).map(({ role }) => role).slice(0, 2)).toEqual(['user', 'assistant']);
      const list = async () =>
        (await supervisor.backend('agent').listSessions({ directory: session.directory })).map(({ id }) => id);
      if (listSessions) expect(await list()).toContain(session.agentSessionId);
      const { model, mode } = session.status();
      if (setModel && model !== undefined) await session.setModel(model);
      const another = session.choices().modes.find(({ id }) => id !== mode);
      if (setMode && another) {
        await session.setMode(another.id);
        expect(await session.prompt('[[fresh]][[say In another mode]]').result).toMatchObject({ outcome: 'completed' });
        expect(session.status().mode).toBe(another.id);
      }
      if (fork) {
        const forked = await session.fork();
        expect((await forked.prompt('[[fresh]][[recall]]').result).text).toContain('Remember this');
      }
      if (deleteSession) await session.close({ delete: true });
      else await expect(session.close({ delete: true })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
      if (deleteSession && listSessions) expect(await list()).not.toContain(session.agentSessionId);
    });

    whole('a session is continued by its id after a close', async () => {
      const directory = world.directory();
      const session = await open(directory);
      await session.prompt('[[say Remember that]]').result;
      await session.close();
      const again = await supervisor.openSession({
        backend: 'agent',
        directory,
        resume: session.agentSessionId,
      });
      expect(again.agentSessionId).toBe(session.agentSessionId);
      expect((await again.prompt('[[fresh]][[recall]]').result).text).toContain('Remember that');
    });

    whole('a session that is closed takes no prompt, and others go on', async () => {
      const [closed, other] = [await open(), await open()];
      const running = closed.prompt('[[words 1000 every 20]]');
      await firstText(running);
      await closed.close();
      expect(await running.result).toMatchObject({ outcome: 'cancelled' });
      expect(await closed.prompt('x').result).toMatchObject({
        outcome: 'failed',
        error: { code: 'ERR_SESSION_CLOSED' },
      });
      expect(await other.prompt('[[say Fine]]').result).toMatchObject({ outcome: 'completed', text: 'Fine' });
    });

    whole('a stop in the middle of a turn cancels it, and nothing is left', async () => {
      const session = await open();
      const pid = pidOf();
      const turn = session.prompt('[[words 1000 every 20]]');
      await firstText(turn);
      await supervisor.stop({ graceMs: 0 });
      expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
      expect(supervisor.status()).toMatchObject({ state: 'stopped', backends: { agent: { state: 'idle' } } });
      expect(() => process.kill(pid, 0)).toThrow('ESRCH');
      expect(await session.prompt('x').result).toMatchObject({ outcome: 'failed', error: { code: 'ERR_STOPPED' } });
    });

    whole('a program that is not there is a typed error, and nothing is left', async () => {
      await supervisor.stop();
      supervisor = createSupervisor({ backends: { agent: agent.backend(world, { command: '/nowhere/program' }) } });
      await expect(open()).rejects.toMatchObject({ code: 'ERR_SPAWN_FAILED' });
    });

    whole('a directory that does not exist is refused, and the others go on', async () => {
      const session = await open();
      await expect(open(join(world.root, 'nowhere'))).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
      expect(await session.prompt('[[say Fine]]').result).toMatchObject({ outcome: 'completed', text: 'Fine' });
    });
  });
}

async function eventsOf(turn: Turn): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of turn) events.push(event);
  return events;
}

async function firstText(turn: Turn): Promise<void> {
  for await (const event of turn) if (event.type === 'text') return;
}
