import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { opencode, type OpencodeOptions } from '../../adapters/opencode/index.ts';
import { RUN_VARIABLE, runId } from '../../adapters/process/run-identity.ts';
import { type BackendDefinition, type BackendStatus, createSupervisor, type Supervisor } from '../../index.ts';
import { holdings, isAlive, processesWith } from '../fixtures/leftovers.ts';
import { misbehaving } from '../fixtures/misbehaving-backend.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

let world: OpencodeWorld;
let before: ReturnType<typeof holdings>;
type Backends = { code: BackendDefinition };
const started: Supervisor<Backends>[] = [];

beforeAll(async () => {
  world = await OpencodeWorld.create();
  before = holdings();
});
afterEach(async () => {
  for (const supervisor of started.splice(0)) await supervisor.stop();
  expect(holdings().childProcesses).toEqual(before.childProcesses);
  expect(processesWith(`${RUN_VARIABLE}=${runId()}:`)).toEqual([]);
});
afterAll(() => world.remove());

function supervise(definition: BackendDefinition): Supervisor<Backends> {
  const supervisor = createSupervisor({ backends: { code: definition } });
  started.push(supervisor);
  return supervisor;
}

const start = (definition: BackendDefinition): Promise<BackendStatus> => supervise(definition).backend('code').start();
const real = (options: OpencodeOptions) =>
  start(world.backend({ startAttempts: 1, restart: { maxRestarts: 0 }, ...options }));

describe('a server that does not start', () => {
  it.each<[string, string, string]>([
    ['exits-before-ready', 'ERR_RESTART_LIMIT', 'exited before ready (code 3); stderr: cannot open the database'],
    ['is-never-ready', 'ERR_RESTART_LIMIT', 'opencode serve not ready in 1500ms; stderr: still loading'],
    ['says-it-on-stderr', 'ERR_RESTART_LIMIT', 'opencode serve not ready in 1500ms'],
    ['dies-when-ready', 'ERR_RESTART_LIMIT', 'Last failure'],
    ['answers-html', 'ERR_RESTART_LIMIT', 'a page of HTML'],
    ['answers-without-password', 'ERR_RESTART_LIMIT', 'answers 200 without a password; expected 401'],
    ['answers-500', 'ERR_RESTART_LIMIT', 'the server answered 500 (oops)'],
    ['says-it-is-unhealthy', 'ERR_RESTART_LIMIT', '/global/health reported unhealthy'],
    ['refuses-our-password', 'ERR_AUTH_REQUIRED', 'Is another program on this port?'],
    ['has-a-broken-config', 'ERR_CONFIG_INVALID', 'the configuration /etc/opencode.json is not JSON'],
  ])('because it %s fails with a typed error, and nothing is left', async (behaviour, code, message) => {
    const { state, lastError } = await start(misbehaving(behaviour, { readyTimeoutMs: 1_500 }));
    expect([state, lastError?.code]).toEqual(['failed', code]);
    expect(lastError?.message).toContain(message);
    expect(lastError?.message).not.toContain('hunter2');
  });

  it.each<[string, OpencodeOptions, string, string]>([
    [
      'a command that does not exist',
      { command: '/nowhere/opencode' },
      'ERR_SPAWN_FAILED',
      'install it, or give its absolute path',
    ],
    [
      'a command that may not be executed',
      { command: fileURLToPath(import.meta.url) },
      'ERR_SPAWN_FAILED',
      'check its permissions',
    ],
    [
      'a directory that does not exist',
      { cwd: '/nowhere/at/all' },
      'ERR_INVALID_OPTION',
      'got "nothing at /nowhere/at/all"',
    ],
    ['a directory that is a file', { cwd: '/etc/hostname' }, 'ERR_INVALID_OPTION', 'got "a file at /etc/hostname"'],
    [
      'a configuration file that does not exist',
      { configFile: '/nowhere/opencode.json' },
      'ERR_INVALID_OPTION',
      'configFile: expected an existing file, got "nothing at /nowhere/opencode.json"',
    ],
  ])('because of %s fails at once, and says what to do', async (_, options, code, message) => {
    const { state, lastError, restarts } = await start(opencode(options));
    expect([state, restarts]).toEqual(['failed', 0]);
    expect(lastError).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  it('because it said much says the last 2,000 characters of that', async () => {
    const { lastError } = await start(misbehaving('exits-after-saying-much'));
    const said = /stderr: (.*)$/s.exec(lastError?.message ?? '')?.[1] ?? '';
    expect([said.length, said.endsWith('much and this at last')]).toEqual([2_000, true]);
  });

  it('because it may not listen where it should fails, and says where; a later start may go well', async () => {
    const { state, lastError } = await start(world.backend({ hostname: '192.0.2.1' }));
    expect([state, lastError?.code, lastError?.message]).toEqual([
      'failed',
      'ERR_INVALID_OPTION',
      expect.stringContaining('192.0.2.1') as string,
    ]);
  });

  it('because the fixed port is taken fails for good, and says which', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { lastError, restarts } = await start(world.backend({ port }));
    expect([lastError?.code, restarts]).toEqual(['ERR_EXITED_BEFORE_READY', 0]);
    expect(lastError?.message).toContain(`Port ${port} may be taken`);
    taken.close();
  });

  it('because its home is no directory fails with what it said', async () => {
    const home = join(world.root, 'home-is-a-file');
    writeFileSync(home, '');
    const { env = {} } = world.options();
    const homeless = {
      ...env,
      HOME: home,
      XDG_CONFIG_HOME: undefined,
      XDG_DATA_HOME: undefined,
      XDG_STATE_HOME: undefined,
      XDG_CACHE_HOME: undefined,
    };
    const { state, lastError } = await real({ env: homeless });
    expect([state, lastError?.message]).toEqual(['failed', expect.stringContaining('ENOTDIR')]);
  });

  it('because its configuration is broken fails for good, though it would listen and call itself healthy', async () => {
    const { state, lastError, restarts } = await start(
      world.backend({ config: { model: 5, apiKey: 'sk-canary-in-config' } }),
    );
    expect([state, lastError?.code, restarts]).toEqual(['failed', 'ERR_CONFIG_INVALID', 0]);
    expect(lastError?.message).not.toContain('canary');
  });

  it('because it is of another version fails for good, and names both', async () => {
    const { lastError } = await real({ version: '^2.0.0' });
    expect(lastError).toMatchObject({
      code: 'ERR_VERSION_MISMATCH',
      message: expect.stringMatching(/is version 1\.18\.33; expected \^2\.0\.0/) as string,
    });
  });

  it('leaves no file of its secrets behind', async () => {
    const own = world.directory('tmp');
    vi.stubEnv('TMPDIR', own);
    const files = () => readdirSync(own).filter((name) => name.startsWith('agent-supervisor-'));
    const supervisor = supervise(world.backend({ config: world.config({ model: 5 }), startAttempts: 1 }));
    await supervisor.backend('code').start();
    vi.unstubAllEnvs();
    expect(supervisor.status().backends['code']?.state).toBe('failed');
    expect(files()).toEqual([]);
  });
});

describe('a server that starts', () => {
  it.each([['says-it-in-pieces'], ['says-it-twice'], ['leaves-its-pipes-to-a-child']])(
    'is ready though it %s',
    async (behaviour) => {
      expect(await start(misbehaving(behaviour))).toMatchObject({ state: 'healthy', version: '1.18.0' });
    },
  );

  it('is told exactly where to listen, and nothing else', async () => {
    const supervisor = supervise(world.backend());
    const { pid, port } = await supervisor.backend('code').start();
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1, -1);
    expect(command).toEqual(['serve', '--hostname', '127.0.0.1', '--port', String(port)]);
  });

  it('in an accepted version is healthy', async () => {
    expect(await real({ version: '1.18.33' })).toMatchObject({ state: 'healthy', version: '1.18.33' });
    expect(await real({ version: '>=1.18 <2' })).toMatchObject({ state: 'healthy' });
  });

  it('keeps a fixed port over a restart: the old life has let it go', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    free.close();
    const supervisor = supervise(world.backend({ port }));
    const first = await supervisor.backend('code').start();
    const second = await supervisor.backend('code').restart();
    expect([first, second]).toMatchObject([
      { state: 'healthy', port },
      { state: 'healthy', port, restarts: 1 },
    ]);
  });

  it('gets another port and another password in each life', async () => {
    const supervisor = supervise(world.backend());
    const first = await supervisor.backend('code').start();
    const second = await supervisor.backend('code').restart();
    expect(second.port).not.toBe(first.port);
    expect(second.pid).not.toBe(first.pid);
    expect(isAlive(first.pid ?? 0)).toBe(false);
  });
});

describe('a stop', () => {
  it('ends a server that ignores every request to stop, by force and in bounded time', async () => {
    const supervisor = supervise(misbehaving('ignores-every-stop', { stopGraceMs: 300 }));
    const { pid } = await supervisor.backend('code').start();
    expect(await supervisor.backend('code').stop()).toMatchObject({ state: 'idle' });
    expect(isAlive(pid ?? 0)).toBe(false);
  });

  it('of a real server with a tool at work leaves nothing, not even what hid in a session of its own', async () => {
    const supervisor = supervise(world.backend());
    const session = await supervisor.openSession({ backend: 'code', directory: world.directory() });
    const command = {
      command: 'setsid nohup sleep 300 >/dev/null 2>&1 & echo hidden; sleep 300',
      description: 'hides',
    };
    const turn = session.prompt(`[[tool bash ${JSON.stringify(command)}]][[say never]]`);
    for await (const event of turn) if (event.type === 'tool' && event.tool.output?.includes('hidden')) break;
    expect(processesWith(world.root).length).toBeGreaterThan(1);
    await supervisor.stop({ graceMs: 0 });
    expect(processesWith(world.root)).toEqual([]);
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
  });

  it('of a frozen server is over in bounded time', async () => {
    const supervisor = supervise(world.backend({ stopGraceMs: 500 }));
    const { pid = 0 } = await supervisor.backend('code').start();
    process.kill(pid, 'SIGSTOP');
    await supervisor.stop({ graceMs: 0 });
    expect(isAlive(pid)).toBe(false);
  });
});
