import { describe, expect, it } from 'vitest';
import { scriptedAgents } from '../fixtures/scripted-agent.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const { start, root } = scriptedAgents();

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
    expect((await session.prompt('[[client]]').result).text).toContain(
      '"fs":{"readTextFile":false,"writeTextFile":false}',
    );
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
