import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isAlive } from '../fixtures/leftovers.ts';
import { firstText, scriptedAgents, slow } from '../fixtures/scripted-agent.ts';
import { until } from '../fixtures/until.ts';

const { start, root } = scriptedAgents();

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
    expect([sessions, session.agentSessionId]).toEqual([['created', 'interrupted', 'restored'], agentSessionId]);
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
    ['loads an empty session and talks of other things', ['forgets', 'loads-anything', 'tells-its-commands']],
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

  it('is ended where it sends more in one message than anybody should, and the next one works', async () => {
    const { open, handle, supervisor } = start();
    const failures: unknown[] = [];
    supervisor.on('transition', ({ to }) => to === 'recovering' && failures.push(handle.status().lastError?.code));
    const session = await open();
    const { pid } = handle.status();
    expect((await session.prompt('[[huge 8]]').result).text).toHaveLength(8 * 1024 * 1024);
    const next = session.prompt('[[huge 33]]');
    const after = session.prompt('[[say fine]]');
    expect(await next.result).toMatchObject({ outcome: 'indeterminate' });
    expect(await after.result).toMatchObject({ outcome: 'completed', text: 'fine' });
    expect([failures[0], handle.status().pid === pid]).toEqual(['ERR_PROTOCOL', false]);
  });

  it('and is given a prompt before anybody could know runs it once, in the next process', async () => {
    const prompts = join(root, 'prompts-of-the-dead');
    const { open, handle } = start({ agent: { env: { PROMPTS: prompts } } });
    const session = await open();
    const { pid = 0 } = handle.status();
    process.kill(pid, 'SIGKILL');
    while (isAlive(pid)); // Without a turn of the event loop: its exit cannot be heard.
    expect(await session.prompt('[[say once]]').result).toMatchObject({ outcome: 'completed', text: 'once' });
    expect(readFileSync(prompts, 'utf8').split('once')).toHaveLength(2);
  });

  it('or reads no more is replaced, and the prompt that it did not read is run by the next one', async () => {
    const health = { intervalMs: 50, timeoutMs: 200, failureThreshold: 1, busyGraceMs: 100 };
    const { open, handle } = start({ agent: { health } });
    const session = await open();
    const { pid } = handle.status();
    expect(await session.prompt('[[deafen]]').result).toMatchObject({ outcome: 'completed' });
    await until('its input is closed', () => !existsSync(`/proc/${pid}/fd/0`), 5_000);
    expect(await session.prompt('[[say heard]]').result).toMatchObject({ outcome: 'completed', text: 'heard' });
    expect(handle.status().pid).not.toBe(pid);
  });
});
