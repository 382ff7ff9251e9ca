import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { opencode, type OpencodeOptions } from '../../adapters/opencode/index.ts';
import { createSupervisor, type Supervisor } from '../../index.ts';
import { ForeignServer } from '../fixtures/foreign-server.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { until } from '../fixtures/until.ts';
import { bash } from '../fixtures/running-opencode.ts';

let world: OpencodeWorld;
let server: ForeignServer;
const supervisors: Supervisor[] = [];

beforeAll(async () => {
  world = await OpencodeWorld.create();
  server = await ForeignServer.start(world);
});
afterEach(async () => {
  for (const supervisor of supervisors.splice(0)) await supervisor.stop();
});
afterAll(async () => {
  await server.kill();
  await world.remove();
});

function connect(overrides: OpencodeOptions = {}) {
  const supervisor = createSupervisor({
    backends: {
      far: opencode({
        url: server.url,
        password: server.password,
        health: { intervalMs: 200, timeoutMs: 3_000, failureThreshold: 2, busyGraceMs: 20_000 },
        ...overrides,
      }),
    },
    openTimeoutMs: 20_000,
  });
  supervisors.push(supervisor);
  return supervisor;
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing failed',
    (error: unknown) => error as { code: string; message: string },
  );

describe('a server that somebody else runs', () => {
  it('is connected to and used like one of ours, and is not ours: it lives on, with what it does for others', async () => {
    const supervisor = connect();
    const { pid } = server;
    expect(await supervisor.backend('far').start()).toMatchObject({
      mode: 'external',
      state: 'healthy',
      port: server.port,
      version: '1.18.33',
      restarts: 0,
    });
    const lease = await supervisor.backend('far').acquire();
    expect([lease.baseUrl, lease.pid, lease.generation]).toEqual([server.url, undefined, 1]);
    const directory = world.directory();
    const session = await supervisor.openSession({ backend: 'far', directory });
    expect(await session.prompt('[[say hello]]').result).toMatchObject({ outcome: 'completed', text: 'hello' });
    await expect(supervisor.backend('far').reload()).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    await expect(supervisor.backend('far').reload({})).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    await supervisor.backend('far').restart('to see whether it is touched');
    expect(supervisor.status().backends['far']).toMatchObject({ state: 'healthy', restarts: 0 });
    const busy = session.prompt(`${bash('sleep 3')} [[say slept]]`);
    const at = `/session/status?directory=${encodeURIComponent(directory)}`;
    const isBusy = async () => Object.keys((await server.ask(at)) as object).includes(session.agentSessionId);
    await until('it works', isBusy, 10_000);
    await supervisor.backend('far').stop();
    expect((await busy.result).outcome).toBe('indeterminate');
    expect([await isBusy(), server.isAlive, server.pid]).toEqual([true, true, pid]);
    expect(lease.ended.aborted).toBe(true);
  });

  it.each<[string, OpencodeOptions, string, RegExp]>([
    ['the wrong password', { password: 'not that one' }, 'ERR_AUTH_REQUIRED', /does not accept the password: check it/],
    ['no password', { password: undefined as never }, 'ERR_AUTH_REQUIRED', /asks for a password: give one/],
    [
      'a version that it is not',
      { version: '1.0.220' },
      'ERR_VERSION_MISMATCH',
      /is version 1\.18\.33; expected 1\.0\.220/,
    ],
    [
      'an address where nobody is',
      { url: 'http://127.0.0.1:9' },
      'ERR_EXTERNAL_UNAVAILABLE',
      /^External server unavailable \(base_url=http:\/\/127\.0\.0\.1:9\): /,
    ],
  ])('given %s fails with a typed error, and the same one for whoever asks', async (_, options, code, message) => {
    const supervisor = connect(options);
    const { state, lastError } = await supervisor.backend('far').start();
    expect([state, lastError?.code]).toEqual(['failed', code]);
    expect(lastError?.message).toMatch(message);
    expect(lastError?.message).not.toContain(server.password);
    const opening = supervisor.openSession({ backend: 'far', directory: world.directory() });
    for (const asked of [supervisor.backend('far').acquire(), opening])
      expect(await failure(asked)).toMatchObject({ code, message: lastError?.message });
  });

  it('is not taken where the directory that it is to answer for does not work', async () => {
    const cwd = world.directory('broken');
    writeFileSync(join(cwd, 'opencode.json'), '{ "model": 5 }');
    const { state, lastError } = await connect({ cwd }).backend('far').start();
    expect([state, lastError?.code]).toEqual(['failed', 'ERR_CONFIG_INVALID']);
  });

  it('that goes away is given up with one typed error until a restart is asked for; then everything goes on', async () => {
    const supervisor = connect();
    const transitions: string[] = [];
    supervisor.on('transition', ({ id, from, to }) => id === 'far' && transitions.push(`${from} → ${to}`));
    const session = await supervisor.openSession({ backend: 'far', directory: world.directory() });
    expect((await session.prompt('[[say before]]').result).outcome).toBe('completed');
    await until('it is healthy', () => supervisor.status().backends['far']?.state === 'healthy', 10_000);
    transitions.length = 0;
    await server.kill();
    await until('it is given up', () => supervisor.status().backends['far']?.state === 'failed', 10_000);
    const { message } = supervisor.status().backends['far']?.lastError ?? { message: '' };
    expect(message).toContain(`External server unavailable (base_url=${server.url}): `);
    const turn = await session.prompt('[[say lost]]').result;
    expect(turn).toMatchObject({ outcome: 'failed', error: { code: 'ERR_EXTERNAL_UNAVAILABLE', message } });
    await server.start();
    for (const asked of [supervisor.backend('far').acquire(), supervisor.backend('far').acquire()])
      expect(await failure(asked)).toMatchObject({ code: 'ERR_EXTERNAL_UNAVAILABLE', message });
    expect((await supervisor.backend('far').start()).state).toBe('failed');
    expect((await supervisor.backend('far').restart()).state).toBe('healthy');
    expect(await session.prompt('[[say after]]').result).toMatchObject({ outcome: 'completed', text: 'after' });
    expect(transitions).toEqual([
      'healthy → unhealthy',
      'unhealthy → failed',
      'failed → starting',
      'starting → healthy',
    ]);
  });
});
