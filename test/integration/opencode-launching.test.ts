import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { opencode, type OpencodeLease, type OpencodeOptions } from '../../adapters/opencode/index.ts';
import { type BackendHandle, createSupervisor, extractAssistantText, type Supervisor } from '../../index.ts';
import { opencodeBinary } from '../fixtures/opencode-binary.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { until } from '../fixtures/until.ts';

let world: OpencodeWorld;
let supervisor: Supervisor | undefined;

beforeEach(async () => (world = await OpencodeWorld.create()));
afterEach(async () => {
  await supervisor?.stop();
  await world.remove();
});

function start(options: OpencodeOptions) {
  supervisor = createSupervisor({ backends: { code: opencode(options) } });
  return supervisor.backend('code').start();
}

describe('a real server', () => {
  it.each([
    ['has values that opencode does not accept', '{ "model": 5, "x": "canary-text" }'],
    ['is not JSON', '{ "model": canary-text'],
  ])("does not start where the user's own configuration %s: the path is told, and not the text", async (_, content) => {
    const folder = join(world.root, 'config', 'opencode');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'opencode.json'), content);
    const { state, lastError, recovery } = await start(world.options());
    expect([state, lastError?.code, recovery?.attempted]).toEqual(['failed', 'ERR_CONFIG_INVALID', []]);
    expect(lastError?.message).toContain(join(folder, 'opencode.json'));
    expect(lastError?.message).not.toContain('canary-text');
  });

  it("goes back to what worked where the user's own configuration is the one that was given", async () => {
    const folder = join(world.root, 'config', 'opencode');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'opencode.json');
    const good = JSON.stringify(world.config());
    writeFileSync(file, good);
    const { config: _, ...options } = world.options({ recovery: { provenAfterMs: 1 } });
    await start({ ...options, configFile: file });
    const handle = supervisor?.backend('code') as BackendHandle<OpencodeLease>;
    await until('it is proven', () => handle.status().detail === 'healthy.proven', 5_000);
    writeFileSync(file, '{ "model": canary-text');
    expect((await handle.restart()).state).toBe('healthy');
    expect(readFileSync(file, 'utf8')).toBe(good);
  });

  it("leaves a project's own broken configuration alone, and ours with it: it is not the reason", async () => {
    const file = join(world.root, 'server', 'opencode.json');
    const ours = join(world.root, 'ours.json');
    writeFileSync(ours, JSON.stringify(world.config({ username: 'first' })));
    let asked = 0;
    const { config: _, ...options } = world.options({
      recovery: { provenAfterMs: 1, confirmSeed: () => (asked += 1) > 0 },
    });
    await start({ ...options, configFile: ours });
    const handle = supervisor?.backend('code') as BackendHandle<OpencodeLease>;
    await until('it is proven', () => handle.status().detail === 'healthy.proven', 5_000);
    const content = JSON.stringify(world.config({ username: 'second' }));
    writeFileSync(ours, content);
    writeFileSync(file, '{ "model": 5 }');
    const { state, lastError, recovery } = await handle.restart();
    expect([state, lastError?.code, recovery?.attempted]).toEqual(['failed', 'ERR_CONFIG_INVALID', []]);
    expect(lastError?.message).toContain(file);
    expect([readFileSync(ours, 'utf8'), asked]).toEqual([content, 0]);
  });

  it("is the project's own program where its exact version was asked for", async () => {
    const { command: _, ...options } = world.options({ version: '1.18.33' });
    const bin = join(world.root, 'server', '.opencode', 'bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(opencodeBinary(), join(bin, 'opencode-v1.18.33'));
    const status = await start({ ...options, env: { ...options.env, PATH: '/usr/bin:/bin' } });
    expect(status).toMatchObject({ state: 'healthy', version: '1.18.33' });
  });

  it('tells what it said last, by the client of its lease and by its session', async () => {
    await start(world.options({ compactionThreshold: 0.5 }));
    const handle = supervisor?.backend('code') as BackendHandle<OpencodeLease>;
    const directory = world.directory();
    const session = await supervisor?.openSession({ backend: 'code', directory });
    await session?.prompt('[[say the last word]]').result;
    const { client, compactionThreshold } = await handle.acquire();
    const { data = [] } = await client.session.messages({ sessionID: session?.agentSessionId ?? '', directory });
    expect([extractAssistantText(data), extractAssistantText((await session?.messages()) ?? [])]).toEqual([
      'the last word',
      'the last word',
    ]);
    expect(compactionThreshold).toBe(0.5);
  });
});
