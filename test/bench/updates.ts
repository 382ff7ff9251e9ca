import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { client, methods, ndJsonStream } from '@agentclientprotocol/sdk';
import { acp } from '../../adapters/acp/index.ts';
import { createSupervisor } from '../../index.ts';
import { program } from '../fixtures/scripted-program.ts';
import { inTurns, ratioLine } from './side-by-side.ts';

/** What one prompt with many updates cost the host. */
interface Cost {
  /** Processor time of the host, in microseconds for each update. */
  readonly cpu: number;
  /** Growth of the host's resident memory at its highest, in MiB. */
  readonly memory: number;
}

/** Host CPU for each update of one prompt: this library, all of it, and the protocol's SDK with a handler that adds up the text. */
export async function benchUpdates(updates: number, rounds: number, print: (line: string) => void): Promise<void> {
  await benchAgent({ how: 'in blocks', flags: [] }, updates, rounds, print);
  await benchAgent({ how: 'line by line', flags: ['writes-line-by-line'] }, updates, rounds, print);
}

async function benchAgent(
  { how, flags }: { readonly how: string; readonly flags: readonly string[] },
  updates: number,
  rounds: number,
  print: (line: string) => void,
): Promise<void> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'agent-supervisor-bench-')));
  const expected = expectedLength(updates);
  const prompt = `[[flood ${updates} text]]`;
  try {
    await withSupervisor(flags, directory, '[[flood 2000 text]]', expectedLength(2_000)); // Compiled before it is measured.
    await withSdk(flags, directory, '[[flood 2000 text]]', expectedLength(2_000));
    const { memory } = await withSupervisor(flags, directory, prompt, expected);
    const [ours, theirs] = await inTurns(rounds, [
      async () => (await withSupervisor(flags, directory, prompt, expected)).cpu / updates,
      async () => (await withSdk(flags, directory, prompt, expected)).cpu / updates,
    ]);
    print(
      ratioLine(
        `host CPU per update, ${updates} updates in one prompt, written ${how}`,
        'µs',
        ours,
        theirs,
        'the SDK’s client',
      ),
    );
    print(`resident memory of the host during ${updates} updates: ${memory.toFixed(0)} MiB above the start`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function expectedLength(updates: number): number {
  return Array.from({ length: updates }, (_, index) => `w${index} `.length).reduce((sum, length) => sum + length, 0);
}

async function withSupervisor(
  flags: readonly string[],
  directory: string,
  prompt: string,
  expected: number,
): Promise<Cost> {
  const backends = { agent: acp({ command: process.execPath, args: [program, ...flags], health: { enabled: false } }) };
  const supervisor = createSupervisor({ backends });
  try {
    const session = await supervisor.openSession({ backend: 'agent', directory });
    return await costOf(async () => {
      let length = 0;
      const turn = session.prompt(prompt);
      for await (const event of turn) if (event.type === 'text') length += event.text.length;
      await turn.result;
      return length;
    }, expected);
  } finally {
    await supervisor.stop({ graceMs: 0 });
  }
}

async function withSdk(flags: readonly string[], directory: string, prompt: string, expected: number): Promise<Cost> {
  const child = spawn(process.execPath, [program, ...flags], { cwd: directory, stdio: ['pipe', 'pipe', 'inherit'] });
  let length = 0;
  const app = client({ name: 'bench' });
  app.onNotification(methods.client.session.update, ({ params: { update } }) => {
    if (update.sessionUpdate === 'agent_message_chunk' && update.content.type === 'text')
      length += update.content.text.length;
  });
  const output = Readable.toWeb(child.stdout) as ReadableStream<Uint8Array>;
  const { agent } = app.connect(ndJsonStream(Writable.toWeb(child.stdin), output));
  try {
    await agent.request(methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} });
    const { sessionId } = await agent.request(methods.agent.session.new, { cwd: directory, mcpServers: [] });
    return await costOf(async () => {
      await agent.request(methods.agent.session.prompt, { sessionId, prompt: [{ type: 'text', text: prompt }] });
      return length;
    }, expected);
  } finally {
    child.kill('SIGKILL');
  }
}

async function costOf(work: () => Promise<number>, expected: number): Promise<Cost> {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  let highest = before;
  const sampler = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 20);
  const started = process.cpuUsage();
  try {
    const length = await work();
    const { user, system } = process.cpuUsage(started);
    if (length !== expected) throw new Error(`${length} characters came, of ${expected}`);
    return { cpu: user + system, memory: (highest - before) / 1024 / 1024 };
  } finally {
    clearInterval(sampler);
  }
}
