import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { processesCalled } from '../fixtures/leftovers.ts';
import type { SleepingHostTask } from '../fixtures/programs/sleeping-host.ts';
import { program } from '../fixtures/scripted-program.ts';
import { until } from '../fixtures/until.ts';

const root = mkdtempSync(join(tmpdir(), 'agent-supervisor-asleep-'));
const hostProgram = fileURLToPath(new URL('../fixtures/programs/sleeping-host.ts', import.meta.url));
/** Longer, on the host's hurried clock, than a turn may be silent and than a busy agent may fail its checks. */
const ASLEEP_MS = 4_000;

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A host in a process of its own, and its lines. Its agent carries `root` in its arguments. */
function runHost(prompt: string) {
  const task: SleepingHostTask = { args: [program, root], directory: root, prompt };
  const host = spawn(process.execPath, ['--import', 'tsx', hostProgram, JSON.stringify(task)], {
    env: { ...process.env, TMPDIR: root },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: host.stdout }).on('line', (line) => lines.push(line));
  const said = (part: string) =>
    until(`the host says ${part}`, () => lines.some((line) => line.includes(part)), 30_000);
  return { host, lines, said };
}

/** Stops the processes for a while: not a tick of theirs passes, and their timers are all due when they go on. */
async function sleep(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  await delay(ASLEEP_MS);
  for (const pid of pids) process.kill(pid, 'SIGCONT');
}

describe('a host that is stopped in the middle of a turn, and goes on', () => {
  it.each<[string, boolean]>([
    ['alone', false],
    ['with its agent', true],
  ])('%s, keeps the process of its agent, and the turn completes', async (_, isAgentAsleep) => {
    const { host, lines, said } = runHost('[[words 4 every 1500]]');
    try {
      await said('text w0');
      const [agent] = processesCalled(program, root).filter((pid) => pid !== host.pid);
      await sleep([host.pid!, ...(isAgentAsleep ? [agent!] : [])]);
      const [code] = (await once(host, 'exit')) as [number];
      const result = { outcome: 'completed', text: 'w0 w1 w2 w3 ' };
      expect(lines.filter((line) => /^(pid|result|error|stopped)/.test(line))).toEqual([
        `pid ${agent}`,
        `result ${JSON.stringify(result)}`,
        `pid ${agent}`,
        'stopped',
      ]);
      expect(lines.some((line) => line.includes('The host slept for'))).toBe(true);
      expect(code).toBe(0);
    } finally {
      host.kill('SIGKILL');
    }
    await until('everything is gone', () => processesCalled(root).length === 0, 5_000);
  });
});
