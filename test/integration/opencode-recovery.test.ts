import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigWorld } from '../fixtures/config-world.ts';

const PASSWORD = 'canary-password-7f3a91';
const API_KEY = 'canary-api-key-55d0c2';
const BROKEN = '{ "model": 5, "note": "mine" }';
let world: ConfigWorld;

beforeEach(async () => {
  world = await ConfigWorld.create();
  world.write(world.world.config({ username: 'before' }));
});
afterEach(() => world.remove());

const code = () => world.supervisor.backend('code');

describe('a configuration file that is broken while the server runs', () => {
  it('is replaced at the restart by what was proved to work; it is kept aside, and no secret is written down', async () => {
    const good = { ...world.world.config(), username: 'proven' };
    world.write(good, 0o640);
    const started = await world.start({
      password: PASSWORD,
      env: { ...world.world.options().env, EXTRA_API_KEY: API_KEY },
    });
    expect(started.state).toBe('healthy');
    await world.proven();
    const proven = world.content();
    world.write(`{ "provider": { "x": { "options": { "apiKey": "${API_KEY}" } } }, "model": 5 }`, 0o640);
    const broken = world.content();
    const status = await code().restart('the configuration changed');
    expect([status.state, status.recovery, world.steps]).toEqual([
      'healthy',
      undefined,
      [['rollback-config', 'healthy']],
    ]);
    expect([world.content(), world.mode(), world.archives()]).toEqual([proven, 0o640, [broken]]);
    const [diagnostics, ...others] = world.diagnostics();
    expect(others).toEqual([]);
    expect(JSON.parse(diagnostics?.content ?? '')).toMatchObject({
      backendId: 'code',
      failure: { code: 'ERR_CONFIG_INVALID', reason: 'own-config' },
      attempted: ['rollback-config'],
      status: { state: 'recovering' },
      versions: { node: process.version },
    });
    for (const secret of [PASSWORD, API_KEY, 'scripted-key-canary']) expect(diagnostics?.content).not.toContain(secret);
    expect(statSync(diagnostics?.path ?? '').mode & 0o777).toBe(0o600);
  });

  it('is replaced by an empty one, where what is known to have worked is spoilt and the host agrees', async () => {
    await world.start();
    await world.proven();
    world.spoilKept('{ "model": 6 }');
    world.write(BROKEN, 0o600);
    world.agrees = true;
    expect((await code().restart()).state).toBe('healthy');
    expect(world.asked).toMatchObject([{ backend: 'code', path: world.file }]);
    expect(world.asked[0]?.reason).toContain(world.file);
    expect(world.steps).toEqual([
      ['rollback-config', 'failed'],
      ['seed-config', 'healthy'],
    ]);
    expect(JSON.parse(world.content())).toEqual({ $schema: 'https://opencode.ai/config.json' });
    expect([world.mode(), world.archives()]).toEqual([0o600, [BROKEN]]);
  });

  it('is left as it is without that agreement, also where what had worked does not any more; it rests until something changes', async () => {
    const reference = join(world.world.root, 'name.txt');
    writeFileSync(reference, 'somebody');
    world.write({ ...world.world.config(), username: `{file:${reference}}` });
    await world.start();
    await world.proven();
    rmSync(reference);
    world.write(BROKEN);
    const status = await code().restart();
    expect([status.state, status.lastError?.code, world.content()]).toEqual(['failed', 'ERR_CONFIG_INVALID', BROKEN]);
    expect(status.recovery).toEqual({ attempted: ['rollback-config', 'seed-config'] });
    expect(world.steps).toEqual([
      ['rollback-config', 'failed'],
      ['seed-config', 'failed'],
    ]);
    expect(world.archives()).toEqual([BROKEN]);
    const [before, asked] = [world.diagnostics().length, world.asked.length];
    expect((await code().start()).lastError?.code).toBe('ERR_CONFIG_INVALID');
    expect([world.archives().length, world.diagnostics().length, world.asked.length, world.content()]).toEqual([
      1,
      before,
      asked,
      BROKEN,
    ]);
    world.write(world.world.config());
    expect((await code().start()).state).toBe('healthy');
  });
});
