import { describe, expect, it } from 'vitest';
import { scriptedAgents, type World } from '../fixtures/scripted-agent.ts';
import { program } from '../fixtures/scripted-program.ts';
import { join } from 'node:path';
import { until } from '../fixtures/until.ts';

const { start, root, directory } = scriptedAgents();

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

  it('for a session that it does not know says so at once', async () => {
    const { open, handle } = start();
    await expect(open('chat-1', { resume: 'unknown' })).rejects.toMatchObject({ code: 'ERR_SESSION_NOT_FOUND' });
    await until('nothing is left', () => handle.status().instances.length === 0, 5_000);
  });

  it('costs those that share its process nothing', async () => {
    const { open } = start({ agent: { share: 'directory' } });
    const place = directory();
    const wrong = [
      open('b', { directory: place, mode: 'nonsense' }),
      open('c', { directory: place, resume: 'unknown' }),
    ].map((opening) => opening.catch((error: unknown) => (error as { code: string }).code));
    const good = await open('a', { directory: place });
    expect(await Promise.all(wrong)).toEqual(['ERR_INVALID_OPTION', 'ERR_SESSION_NOT_FOUND']);
    expect(await good.prompt('[[say fine]]').result).toMatchObject({ text: 'fine' });
  });

  it('in a directory that does not exist fails for good', async () => {
    const { open } = start();
    await expect(open('chat-1', { directory: join(root, 'nowhere') })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  });
});
