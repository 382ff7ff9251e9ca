import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { RunRecord } from '../../../adapters/process/run-record.ts';
import type { Session } from '../../../index.ts';
import { DeadRun } from '../../fixtures/dead-run.ts';
import { isAlive } from '../../fixtures/leftovers.ts';
import { scriptedAgents } from '../../fixtures/scripted-agent.ts';

const { start, root } = scriptedAgents();
const stateDirectory = join(root, 'state');
const processes = join(stateDirectory, 'processes');

const dead = new DeadRun(processes);
afterAll(() => dead.end());

const records = () =>
  readdirSync(processes).map((name) => JSON.parse(readFileSync(join(processes, name), 'utf8')) as RunRecord);

/** Runs a command that goes on, and tells its pid. */
async function running(session: Session): Promise<number> {
  await session.prompt(`[[run ${JSON.stringify({ command: 'echo $$; exec sleep 300' })}]]`).result;
  for (;;) {
    const { text } = await session.prompt('[[output]]').result;
    const { output } = JSON.parse(text) as { output: string };
    if (output.endsWith('\n')) return Number(output);
  }
}

it('an agent and its terminals are on record while they run, and no file is left after a clean stop', async () => {
  const { supervisor, open, handle } = start({ agent: { terminals: true }, supervisor: { stateDirectory } });
  const session = await open();
  const terminal = await running(session);
  const agents = handle.status().instances.map(({ pid }) => pid);
  expect(records().map(({ children }) => children.map(({ pid }) => pid))).toEqual([[...agents, terminal]]);
  await supervisor.stop();
  expect([isAlive(terminal), readdirSync(processes)]).toEqual([false, []]);
});

it('an agent starts when what a dead host left is gone, and that is logged', async () => {
  dead.record();
  const pid = await dead.leave("trap '' TERM");
  const logged: string[] = [];
  const silent = () => undefined;
  const logger = {
    debug: silent,
    info: silent,
    error: silent,
    warn: (_: object, message: string) => void logged.push(message),
  };
  const { supervisor, open } = start({ supervisor: { stateDirectory, logger } });
  await open();
  expect([isAlive(pid), logged]).toEqual([false, [expect.stringContaining('processes ended: 1,')]]);
  await supervisor.stop();
  expect(readdirSync(processes)).toEqual([]);
});
