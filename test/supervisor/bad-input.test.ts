import { describe, expect, it } from 'vitest';
import { createSupervisor } from '../../index.ts';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';
import { FakeBackend } from '../fixtures/fake-backend.ts';

const open = { backend: 'code', directory: '/project', chatId: 'chat-1' } as const;

const mcp = (server: object) => ({ ...open, mcpServers: [{ name: 'x', ...server }] });

describe('bad input', () => {
  const backends = { code: new FakeBackend().definition };

  it.each<[string, unknown, string]>([
    ['an unknown option', { backends, retries: 3 }, 'retries'],
    ['no backends', { backends: {} }, 'at least one backend'],
    ['a backend that is none', { backends: { code: {} } }, 'backends.code'],
    ['a handler that is none', { backends, onPermission: 'yes' }, 'onPermission: expected a function, got "yes"'],
    [
      'a limit that is no duration',
      { backends, turn: { deadlineMs: -1 } },
      'turn.deadlineMs: expected whole milliseconds',
    ],
    [
      'a limit longer than timers keep',
      { backends, turn: { deadlineMs: 2 ** 31 } },
      'from 1 to 2147483647, got 2147483648',
    ],
    ['no logger at all', { backends, logger: null }, 'logger: expected an object, got null'],
    ['a clock that is none', { backends, clock: {} }, 'clock.now: expected a function'],
    ['a logger that is none', { backends, logger: { info: () => undefined } }, 'logger.debug: expected a function'],
  ])('createSupervisor refuses %s, and says what was expected', (_, options, message) => {
    expect(() => createSupervisor(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(message) as string }),
    );
  });

  it.each<[string, object, string]>([
    ['an unknown backend', { ...open, backend: 'nope' }, 'ERR_UNKNOWN_BACKEND'],
    ['no directory', { backend: 'code' }, 'ERR_INVALID_OPTION'],
    ['a relative directory', { backend: 'code', directory: '.' }, 'ERR_INVALID_OPTION'],
    ['an unknown option', { ...open, dir: '/x' }, 'ERR_INVALID_OPTION'],
    ['an MCP server without a command', { ...open, mcpServers: [{ name: 'x' }] }, 'ERR_INVALID_OPTION'],
    ['an MCP server with a variable that is no text', mcp({ command: 'x', env: { A: 1 } }), 'ERR_INVALID_OPTION'],
    ['an MCP server of two kinds', mcp({ type: 'http', url: 'http://x', command: 'y' }), 'ERR_INVALID_OPTION'],
    ['an MCP server without a URL', { ...open, mcpServers: [{ name: 'x', type: 'http' }] }, 'ERR_INVALID_OPTION'],
    ['a signal that is none', { ...open, signal: {} }, 'ERR_INVALID_OPTION'],
  ])('openSession rejects %s and starts nothing', async (_, options, code) => {
    const { supervisor, backend } = fakeWorld();
    await expect(supervisor.openSession(options as never)).rejects.toMatchObject({ code });
    expect(backend.lives).toHaveLength(0);
  });

  it.each<[string, (world: FakeWorld) => unknown]>([
    ['on() of an event that there is not', ({ supervisor }) => supervisor.on('transitions' as never, () => undefined)],
    ['on() without a listener', ({ supervisor }) => supervisor.on('turn', 3 as never)],
    ['stop() with an unknown option', ({ supervisor }) => supervisor.stop({ grace: 3 } as never)],
    ['acquire() with an unknown option', ({ supervisor }) => supervisor.backend('code').acquire({ x: 1 } as never)],
    ['restart() with what is no reason', ({ supervisor }) => supervisor.backend('code').restart({} as never)],
    ['listSessions() of nothing', ({ supervisor }) => supervisor.backend('code').listSessions(undefined as never)],
    [
      'listSessions() of a relative directory',
      ({ supervisor }) => supervisor.backend('code').listSessions({ directory: '.' }),
    ],
    [
      'close() with an unknown option',
      async ({ supervisor }) => (await supervisor.openSession(open)).close({ remove: true } as never),
    ],
  ])('%s is refused', async (_, call) => {
    const called = Promise.resolve().then(() => call(fakeWorld()));
    await expect(called).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });

  it.each<[string, unknown, unknown]>([
    ['an empty prompt', '', {}],
    ['a prompt of spaces', '   ', {}],
    ['no blocks', [], {}],
    ['a block of an unknown type', [{ type: 'video' }], {}],
    ['an image that is not base64', [{ type: 'image', mimeType: 'image/png', data: '@@@' }], {}],
    ['a file at what is no URI', [{ type: 'file', uri: 'not a uri' }], {}],
    ['an image without data', [{ type: 'image', mimeType: 'image/png' }], {}],
    ['a file with both path and uri', [{ type: 'file', path: '/a', uri: 'file:///a' }], {}],
    ['an unknown option', 'work', { temperature: 1 }],
    ['a model that the backend cannot read', 'work', { model: 'bad' }],
    ['a deadline of zero', 'work', { deadlineMs: 0 }],
  ])('prompt throws for %s, and the session goes on', async (_, input, options) => {
    const { supervisor, backend, clock } = fakeWorld();
    const session = await supervisor.openSession(open);
    expect(() => session.prompt(input as never, options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION' }),
    );
    const turn = session.prompt('work');
    await clock.advance(0);
    backend.turn.complete('fine');
    expect(await turn.result).toMatchObject({ text: 'fine' });
  });

  it('names the known backends where one is unknown', () => {
    const { supervisor } = fakeWorld();
    expect(() => supervisor.backend('cod' as never)).toThrow('There is no backend "cod"; there is code.');
  });
});
