import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigArchive } from '../../../adapters/opencode/config/config-archive.ts';
import { FileConfig } from '../../../adapters/opencode/config/file-config.ts';
import { LastKnownGood } from '../../../adapters/opencode/config/last-known-good.ts';
import { ObjectConfig } from '../../../adapters/opencode/config/object-config.ts';

const GOOD = '{ "model": "a/b" } // mine\n';
const BROKEN = '{ "model": ';
const SEED = '{\n  "$schema": "https://opencode.ai/config.json"\n}\n';
const never = new AbortController().signal;
const yes = () => Promise.resolve(true);
const no = () => Promise.resolve(false);

let root: string;
let file: string;
let wallMs = 0;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'agent-supervisor-test-')));
  file = join(root, 'opencode.json');
  writeFileSync(file, GOOD);
  chmodSync(file, 0o640);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const archive = (keep = 5) =>
  new ConfigArchive({ stateDirectory: join(root, 'state'), backendId: 'code', keep, wallNow: () => (wallMs += 1_000) });
const fileConfig = (keep?: number) => new FileConfig(file, new LastKnownGood(join(root, 'state'), file), archive(keep));
const content = () => readFileSync(file, 'utf8');
const archives = () => readdirSync(join(root, 'state', 'archives')).sort();

async function provenThenBroken(config = fileConfig()) {
  await config.proven(await config.load());
  writeFileSync(file, BROKEN);
  return config;
}

describe('a configuration file of the user', () => {
  it('goes back to what was proved to work, also by another host later, in its own mode, with nothing left beside it', async () => {
    await provenThenBroken();
    const later = fileConfig();
    const outcome = await later.rollback(never);
    expect([content(), statSync(file).mode & 0o777, readdirSync(root).sort()]).toEqual([
      GOOD,
      0o640,
      ['opencode.json', 'state'],
    ]);
    expect(outcome).toMatchObject({ configId: (await later.load()).id });
    expect(readFileSync(outcome.path ?? '', 'utf8')).toBe(BROKEN);
    expect(statSync(outcome.path ?? '').mode & 0o777).toBe(0o600);
  });

  it('that is a link stays a link: what it leads to is written', async () => {
    const link = join(root, 'link.json');
    symlinkSync(file, link);
    const config = new FileConfig(link, new LastKnownGood(join(root, 'state'), link), archive());
    await provenThenBroken(config);
    await config.rollback(never);
    expect([lstatSync(link).isSymbolicLink(), content()]).toEqual([true, GOOD]);
    expect([config.owns(link), config.owns(file), config.owns('/etc/opencode.json'), config.owns(undefined)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it.each<[string, () => void, string]>([
    ['nothing was proved to work', () => rmSync(join(root, 'state'), { recursive: true }), 'No content of'],
    ['what was proved is spoilt', () => spoil('{}'), 'No content of'],
    ['it is what was proved to work', () => writeFileSync(file, GOOD), 'is what was proved to work'],
  ])('is not touched by a rollback where %s', async (_, arrange, message) => {
    const config = await provenThenBroken();
    arrange();
    const before = content();
    await expect(config.rollback(never)).rejects.toThrow(message);
    expect(content()).toBe(before);
  });

  it('is emptied only with consent; who is asked finds it as it was', async () => {
    const config = await provenThenBroken();
    await config.rollback(never);
    const seen: string[] = [];
    const look = (answer: boolean) => () => {
      seen.push(content());
      return Promise.resolve(answer);
    };
    await expect(config.seed(look(false), never)).rejects.toThrow('did not agree');
    expect([seen, content()]).toEqual([[BROKEN], BROKEN]);
    await config.seed(look(true), never);
    expect([seen[1], content(), archives().length]).toEqual([BROKEN, SEED, 1]);
    await config.restore();
    expect(content()).toBe(BROKEN);
  });

  it('is not emptied where it was proved to work, or is empty already, or the consent came too late', async () => {
    const config = fileConfig();
    await config.proven(await config.load());
    await expect(config.seed(yes, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
    expect(content()).toBe(GOOD);
    await config.seed(yes, never);
    await expect(fileConfig().seed(yes, never)).rejects.toThrow('is empty already');
  });

  it('is not put back over what somebody has written since', async () => {
    const config = await provenThenBroken();
    await config.rollback(never);
    writeFileSync(file, 'mended by hand');
    await config.restore();
    expect(content()).toBe('mended by hand');
  });

  it('is put back as it was found last, also where an earlier rollback had helped', async () => {
    const config = await provenThenBroken();
    await config.rollback(never);
    writeFileSync(file, 'broken again');
    await config.rollback(never);
    await config.restore();
    expect([content(), archives().length]).toEqual(['broken again', 2]);
  });

  it('that did not work is kept once for each content, the oldest go first, and none is overwritten', async () => {
    const config = await provenThenBroken(fileConfig(2));
    const kept: (string | undefined)[] = [];
    for (const text of ['{1', '{1', '{2', '{3']) {
      writeFileSync(file, text);
      kept.push((await config.rollback(never)).path);
    }
    expect([kept[0] === kept[1], archives().length]).toEqual([true, 2]);
    expect(archives().map((name) => readFileSync(join(root, 'state', 'archives', name), 'utf8'))).toEqual(['{2', '{3']);
  });

  it('that cannot be written is left as it is, and the reason is told', async () => {
    const config = await provenThenBroken();
    rmSync(file);
    await expect(config.rollback(never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });

  it('that is no text is kept, and put back, byte for byte', async () => {
    const bytes = Buffer.from('\ufeff{ "model": "ä" ', 'utf16le');
    const config = await provenThenBroken();
    writeFileSync(file, bytes);
    const { path = '' } = await config.rollback(never);
    await config.restore();
    expect([readFileSync(path).equals(bytes), readFileSync(file).equals(bytes)]).toEqual([true, true]);
  });

  it('is never emptied by a rollback: an empty one is none to go back to', async () => {
    const config = await provenThenBroken();
    await config.seed(yes, never);
    await config.proven(await config.load());
    writeFileSync(file, 'a real one, and broken');
    await config.rollback(never);
    expect(content()).toBe(GOOD);
  });

  it('that a server works with is not given up for what the rungs found before', async () => {
    const config = await provenThenBroken();
    await config.rollback(never);
    config.accepted();
    await expect(config.seed(no, never)).rejects.toThrow('did not agree');
    await config.restore();
    expect(content()).toBe(GOOD);
  });

  it('keeps only the last content that was proved to work', async () => {
    const config = fileConfig();
    for (const text of ['one', 'two']) {
      writeFileSync(file, text);
      await config.proven(await config.load());
    }
    const [folder = ''] = readdirSync(join(root, 'state', 'configs'));
    const names = readdirSync(join(root, 'state', 'configs', folder));
    expect(names.map((name) => readFileSync(join(root, 'state', 'configs', folder, name), 'utf8'))).toEqual(['two']);
    expect(statSync(join(root, 'state', 'configs', folder, names[0] ?? '')).mode & 0o777).toBe(0o600);
  });
});

describe('a configuration that the host gives as an object', () => {
  it('goes back to the one that was proved to work, and back again where that did not help', async () => {
    const config = new ObjectConfig({ model: 'a/b' }, archive());
    const good = await config.load();
    await config.proven(good);
    const broken = config.replace({ model: 5, provider: { x: { options: { apiKey: 'canary' } } } });
    expect(await config.rollback(never)).toMatchObject({ configId: good.id });
    expect(await config.load()).toEqual(good);
    const [name = ''] = archives();
    const kept = readFileSync(join(root, 'state', 'archives', name), 'utf8');
    expect([JSON.parse(kept), kept.includes('canary')]).toMatchObject([{ model: 5 }, false]);
    expect(await config.restore()).toMatchObject({ configId: broken });
    expect((await config.load()).id).toEqual(broken);
  });

  it('that the host gives while a rung is at work is not overwritten, and neither is one after an abort', async () => {
    const config = new ObjectConfig({ model: 'a/b' }, archive());
    await config.proven(await config.load());
    config.replace({ model: 5 });
    const rolling = config.rollback(never);
    const given = config.replace({ model: 'c/d' });
    await expect(rolling).rejects.toThrow('has given another configuration');
    await expect(config.seed(yes, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
    expect((await config.load()).id).toEqual(given);
  });

  it('that was not given at all is none to go back to', async () => {
    const config = new ObjectConfig(undefined, archive());
    await config.proven(await config.load());
    config.replace({ model: 5 });
    await expect(config.rollback(never)).rejects.toThrow('No configuration has been proved');
  });

  it('is not given up without consent, nor where it was proved to work', async () => {
    const config = new ObjectConfig({ model: 5 }, archive());
    const given = await config.load();
    await expect(config.rollback(never)).rejects.toThrow('No configuration has been proved');
    await expect(config.seed(no, never)).rejects.toThrow('did not agree');
    expect(await config.load()).toEqual(given);
    await config.seed(yes, never);
    expect((await config.load()).object).toEqual({ $schema: 'https://opencode.ai/config.json' });
    await config.restore();
    await config.proven(await config.load());
    await expect(config.rollback(never)).rejects.toThrow('is the one that was proved to work');
  });
});

function spoil(text: string): void {
  const [folder = ''] = readdirSync(join(root, 'state', 'configs'));
  const path = join(root, 'state', 'configs', folder);
  for (const name of readdirSync(path)) writeFileSync(join(path, name), text);
}
