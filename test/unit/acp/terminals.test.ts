import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Terminals } from '../../../adapters/acp/terminals.ts';
import { WorktreeFiles } from '../../../adapters/acp/worktree-files.ts';

let root: string;
let terminals: Terminals;

beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'agent-supervisor-test-')));
  const files = new WorktreeFiles(root);
  await files.pin();
  terminals = new Terminals(files, { PATH: process.env['PATH'] ?? '' });
});
afterEach(async () => {
  await terminals.end();
  rmSync(root, { recursive: true });
});

it('terminals that are wanted at the same moment are not more than may be', async () => {
  const wanted = Array.from({ length: 40 }, () => terminals.create({ command: 'true' }));
  const settled = await Promise.allSettled(wanted);
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(32);
});

it('no terminal begins after the cancel of its turn, nor one that was wanted before, until the next turn', async () => {
  const early = terminals.create({ command: 'true' });
  const refused = terminals.refuse();
  await expect(early).rejects.toThrow('cancelled');
  await refused;
  await expect(terminals.create({ command: 'true' })).rejects.toThrow('cancelled');
  terminals.allow();
  await expect(terminals.create({ command: 'true' })).resolves.toBe('terminal-1');
});

it('no terminal begins after the end, nor one that was wanted before', async () => {
  const early = terminals.create({ command: 'true' });
  const ended = terminals.end();
  await expect(early).rejects.toThrow('over');
  await ended;
  await expect(terminals.create({ command: 'true' })).rejects.toThrow('over');
});
