import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Session } from '../../index.ts';
import { isAlive } from '../fixtures/leftovers.ts';
import { eventsOf, scriptedAgents } from '../fixtures/scripted-agent.ts';
import { until } from '../fixtures/until.ts';

const { start, root, directory } = scriptedAgents();
const on = { agent: { terminals: true } };
const run = (command: string, more: object = {}) => `[[run ${JSON.stringify({ command, ...more })}]]`;
const said = async (session: Session, prompt: string) => (await session.prompt(prompt).result).text;
/** Runs a command that goes on, with a child that goes on, and tells both pids. */
async function running(session: Session): Promise<readonly number[]> {
  await session.prompt(run('sleep 300 & echo $$ $!; wait')).result;
  for (;;) {
    const { output } = JSON.parse(await said(session, '[[output]]')) as { output: string };
    if (output.endsWith('\n')) return output.trim().split(' ').map(Number);
  }
}

describe('the terminals of an agent', () => {
  it('are not offered unless they are asked for', async () => {
    const { open } = start();
    const session = await open();
    expect(await said(session, '[[client]]')).toContain('"terminal":false');
    expect(await said(session, run('touch made'))).toContain('Method not found');
    expect(existsSync(join(session.directory, 'made'))).toBe(false);
  });

  it('run a line of the shell, or a program with arguments, in the directory of the session', async () => {
    const { open } = start(on);
    const session = await open();
    expect(await said(session, `${run('pwd; echo err >&2; exit 3')}[[wait]]`)).toBe('{"exitCode":3,"signal":null}');
    expect(JSON.parse(await said(session, '[[output]]'))).toEqual({
      output: `${session.directory}\nerr\n`,
      truncated: false,
      exitStatus: { exitCode: 3, signal: null },
    });
    await session.prompt(`${run('printf', { args: ['%s|', 'a b', '$HOME'] })}[[wait]]`).result;
    expect(await said(session, '[[output]]')).toContain('"a b|$HOME|"');
  });

  it('show their output as the output of the tool, also when they are released', async () => {
    const { open } = start(on);
    const session = await open();
    const events = await eventsOf(session.prompt(`${run('echo hello')}[[wait]][[release]]`));
    const tools = events.flatMap((event) => (event.type === 'tool' ? [event.tool] : []));
    expect(tools.at(-1)).toMatchObject({ status: 'completed', output: 'hello\n' });
  });

  it('keep the end of a long output, from a whole character on', async () => {
    const { open } = start(on);
    const session = await open();
    await session.prompt(`${run("printf 'é%.0s' $(seq 100)", { outputByteLimit: 11 })}[[wait]]`).result;
    expect(JSON.parse(await said(session, '[[output]]'))).toMatchObject({ output: 'é'.repeat(5), truncated: true });
  });

  it('have the variables that the agent names, and none of its secrets', async () => {
    const env = { SCRIPTED_API_KEY: 'canary', PLAIN: 'plain' };
    const { open } = start({ agent: { terminals: true, env } });
    const session = await open();
    const more = { env: [{ name: 'ADDED', value: 'added' }] };
    await session.prompt(`${run('echo "$PLAIN $ADDED [$SCRIPTED_API_KEY]"', more)}[[wait]]`).result;
    expect(await said(session, '[[output]]')).toContain('"plain added []\\n"');
  });

  it('run below the directory of the session, and nowhere else', async () => {
    const { open } = start(on);
    const session = await open();
    mkdirSync(join(session.directory, 'below'));
    await session.prompt(`${run('pwd', { cwd: join(session.directory, 'below') })}[[wait]]`).result;
    expect(await said(session, '[[output]]')).toContain(join(session.directory, 'below'));
    for (const cwd of [root, '/', join(session.directory, '..'), join(session.directory, 'nowhere')])
      expect(await said(session, run('touch made', { cwd }))).toContain('is refused');
    expect(existsSync(join(root, 'made'))).toBe(false);
  });

  it('say what could not be run', async () => {
    const { open } = start(on);
    const session = await open();
    expect(await said(session, `${run('/nowhere/program', { args: ['x'] })}[[wait]]`)).toContain('"exitCode":127');
    expect(await said(session, '[[output]]')).toContain('ENOENT');
  });

  it.each<[string, (session: Session) => Promise<unknown>]>([
    ['they are killed', (session) => session.prompt('[[kill]]').result],
    ['they are released', (session) => session.prompt('[[release]]').result],
    ['the session is closed', (session) => session.close()],
    ['the agent dies', (session) => session.prompt('[[crash]]').result],
  ])('are gone with all that they started when %s', async (_, end) => {
    const { open } = start({ agent: { terminals: true, share: 'directory' } });
    const place = directory();
    const [session] = [await open('a', { directory: place }), await open('b', { directory: place })];
    const pids = await running(session);
    expect(pids.map(isAlive)).toEqual([true, true]);
    await end(session);
    await until('they are gone', () => !pids.some(isAlive), 5_000);
  });

  it('of a turn are gone when it is cancelled, and their output stays', async () => {
    const { open } = start(on);
    const session = await open();
    const turn = session.prompt(`${run('echo begun; sleep 300')}[[wait]]`);
    for await (const event of turn) if (event.type === 'tool') break;
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await said(session, '[[output]]')).toContain('"exitStatus":{"exitCode":null,"signal":"SIGKILL"}');
  });

  it('are not more than an agent may have at once', async () => {
    const { open } = start(on);
    const session = await open();
    const text = await said(session, run('true').repeat(33));
    expect(text).toContain('There are 32 terminals already');
  });

  it('that begin while the session closes do not outlive it', async () => {
    const { open } = start(on);
    const session = await open();
    const turn = session.prompt(run('sleep 300').repeat(30));
    for await (const event of turn) if (event.type === 'tool') break;
    await session.close();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
  });
});
