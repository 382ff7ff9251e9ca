import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { opencode, type OpencodeLease } from '../../adapters/opencode/index.ts';
import type { BackendHandle, Session } from '../../index.ts';
import { createSupervisor, extractAssistantText, type Supervisor } from '../../index.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { bash } from '../fixtures/running-opencode.ts';
import { until } from '../fixtures/until.ts';

let world: OpencodeWorld;
let supervisor: Supervisor;
let file: string;

beforeEach(async () => {
  world = await OpencodeWorld.create();
  file = join(world.root, 'config.json');
});
afterEach(async () => {
  await supervisor.stop();
  await world.remove();
});

const handle = () => supervisor.backend('code') as BackendHandle<OpencodeLease>;
const write = (username: string) => writeFileSync(file, JSON.stringify(world.config({ username })));
const status = () => supervisor.status().backends['code'];

/** Whose name the server has read for a directory. */
async function usernameIn(directory: string): Promise<string | undefined> {
  const { client } = await handle().acquire();
  const { data } = await client.config.get({ directory });
  return data?.username;
}

async function supervise(options: Parameters<typeof opencode>[0]): Promise<void> {
  const stateDirectory = join(world.root, 'supervisor-state');
  supervisor = createSupervisor({ backends: { code: opencode(options) }, stateDirectory });
  await handle().start();
}

const open = (): Promise<Session> => supervisor.openSession({ backend: 'code', directory: world.directory() });

async function busy(session: Session) {
  const turn = session.prompt(`${bash('sleep 2')} [[say slept]]`);
  for await (const event of turn) if (event.type === 'tool' && event.tool.status === 'running') break;
  return turn;
}

describe('reload() of a configuration file', () => {
  beforeEach(async () => {
    write('before');
    const { config: _, ...options } = world.options();
    await supervise({ ...options, configFile: file, recovery: { provenAfterMs: 300 } });
  });

  it('is taken over where nobody works at once, elsewhere before the next turn, and interrupts nothing', async () => {
    const [idle, working] = [await open(), await open()];
    expect(await usernameIn(idle.directory)).toBe('before');
    const turn = await busy(working);
    const { pid } = status() ?? {};
    write('after');
    expect((await handle().reload()).state).toBe('healthy');
    expect([await usernameIn(idle.directory), await usernameIn(working.directory)]).toEqual(['after', 'before']);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'slept' });
    expect(await working.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
    expect(await usernameIn(working.directory)).toBe('after');
    expect([status()?.pid, status()?.restarts]).toEqual([pid, 0]);
  });

  it('that does not work is refused, and changes nothing: sessions go on with the one they have', async () => {
    const session = await open();
    const turn = await busy(session);
    writeFileSync(file, '{ "model": 5, "apiKey": "hunter2-canary" }');
    const refused = await handle()
      .reload()
      .catch((error: unknown) => error as { code: string; message: string });
    expect(refused).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    expect((refused as { message: string }).message).toContain(file);
    expect((refused as { message: string }).message).not.toContain('hunter2');
    expect((await turn.result).outcome).toBe('completed');
    expect((await session.prompt('[[say still here]]').result).outcome).toBe('completed');
    expect([status()?.state, status()?.restarts]).toEqual(['healthy', 0]);
  });

  it('leaves alone what somebody else does there, with a client of their own', async () => {
    const directory = world.directory();
    const { client } = await handle().acquire();
    const { data } = await client.session.create({ directory });
    const sessionID = data?.id ?? '';
    await supervisor.openSession({ backend: 'code', directory });
    const parts = [{ type: 'text' as const, text: `${bash('sleep 2')} [[say theirs]]` }];
    const asked = client.session.prompt({ sessionID, directory, parts });
    const isBusy = async () => (await client.session.status({ directory })).data?.[sessionID]?.type === 'busy';
    await until('it works', isBusy, 10_000);
    write('after');
    await handle().reload();
    expect([await isBusy(), await usernameIn(directory)]).toEqual([true, 'before']);
    expect(extractAssistantText([(await asked).data])).toBe('theirs');
    await (await supervisor.openSession({ backend: 'code', directory })).prompt('[[say ours]]').result;
    expect(await usernameIn(directory)).toBe('after');
  });

  it('is remembered as what worked, once it has: the ladder goes back to it, and not to the one before', async () => {
    write('after');
    await handle().reload();
    await until('it is proven', () => status()?.detail === 'healthy.proven', 10_000);
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, '{ "model": 5 }');
    expect((await handle().restart()).state).toBe('healthy');
    expect(readFileSync(file, 'utf8')).toBe(good);
  });

  it('of a server that has failed, or was stopped, is no error: what starts next reads the file', async () => {
    await handle().stop();
    expect((await handle().reload()).state).toBe('idle');
    rmSync(join(world.root, 'supervisor-state'), { recursive: true, force: true });
    writeFileSync(file, '{ "model": 5 }');
    expect((await handle().start()).state).toBe('failed');
    write('mended');
    expect((await handle().reload()).state).toBe('healthy');
  });

  it('takes no configuration as an argument: the file is what counts', async () => {
    await expect(handle().reload({ username: 'other' })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });
});

describe('reload() of a configuration that the host gives', () => {
  it('waits for the turn that runs, and the next one waits for the new server', async () => {
    await supervise(world.options({ config: world.config({ username: 'before' }) }));
    const session = await open();
    const other = await open();
    const turn = await busy(session);
    const { pid } = status() ?? {};
    const reloaded = handle().reload(world.config({ username: 'after' }));
    await until('it drains', () => status()?.detail === 'healthy.draining', 5_000);
    const next = other.prompt('[[say next]]');
    expect((await handle().checkNow()).detail).toBe('healthy.draining');
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'slept' });
    expect((await reloaded).state).toBe('healthy');
    expect(await next.result).toMatchObject({ outcome: 'completed', text: 'next' });
    expect(await usernameIn(session.directory)).toBe('after');
    expect([status()?.pid === pid, status()?.restarts]).toEqual([false, 1]);
  });

  it('goes back to the one that worked where the new one does not', async () => {
    const recovery = { provenAfterMs: 1 };
    await supervise(world.options({ config: world.config({ username: 'proven' }), recovery }));
    await until('it is proven', () => status()?.detail === 'healthy.proven', 5_000);
    const steps: string[] = [];
    supervisor.on('recovery', ({ step, outcome }) => void steps.push(`${step} ${outcome}`));
    await expect(handle().reload({ model: 5 })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    expect(status()?.state).toBe('healthy');
    expect([steps, await usernameIn(world.directory())]).toEqual([['rollback-config healthy'], 'proven']);
  });

  it('costs nothing where the configuration is the one that runs', async () => {
    const config = world.config({ username: 'same' });
    await supervise(world.options({ config }));
    await handle().reload({ ...config });
    expect(status()?.restarts).toBe(0);
  });

  it('refuses what is no configuration, and nothing happens', async () => {
    await supervise(world.options());
    await expect(handle().reload('model')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect(status()?.restarts).toBe(0);
  });
});

describe('a model', () => {
  it('has the limit that the server tells, and an unknown one has none', async () => {
    await supervise(world.options());
    await until('the limits are known', () => handle().contextLimit('scripted', 'scripted') !== undefined, 10_000);
    expect([handle().contextLimit('scripted', 'scripted'), handle().contextLimit('scripted', 'other')]).toEqual([
      100_000,
      undefined,
    ]);
  });
});
