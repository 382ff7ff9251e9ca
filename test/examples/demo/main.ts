import { createSupervisor, type Session } from '../../../index.ts';
import { gooseAgent, opencodeAcpAgent } from '../../fixtures/agent-worlds.ts';
import { processesWith } from '../../fixtures/leftovers.ts';
import { OpencodeWorld } from '../../fixtures/opencode-world.ts';

/** Everything here is real but the model: opencode itself, its processes, its streams, its crash. */
const startedAt = performance.now();
const say = (line: string) => process.stdout.write(`${line}\n`);
const stamp = () => `${((performance.now() - startedAt) / 1000).toFixed(2).padStart(6)}s`;
const title = (text: string) => say(`\n── ${text} ${'─'.repeat(Math.max(2, 74 - text.length))}`);
const seen: string[] = [];

const world = await OpencodeWorld.create();
const warm = gooseAgent.isInstalled ? gooseAgent : opencodeAcpAgent;
const supervisor = createSupervisor({
  backends: { code: world.backend(), agent: warm.backend(world) },
  onPermission: () => ({ outcome: 'allow_once' }),
  stateDirectory: world.directory('supervisor-state'),
});
supervisor.on('transition', ({ id, kind, from, to, reason }) => {
  if (id === 'code') seen.push(to);
  if (kind === 'backend' && id === 'agent') return; // Its one instance says the same.
  say(`${stamp()}  ● ${id}: ${from} → ${to}  (${reason.split('\n')[0]})`);
});

try {
  title('Two sessions in two directories, one server');
  const [alpha, beta] = await Promise.all(
    ['alpha', 'beta'].map((name) =>
      supervisor.openSession({ backend: 'code', directory: world.directory(name), title: name }),
    ),
  );
  if (!alpha || !beta) throw new Error('Two sessions were opened.');
  const hello =
    '[[say Hello from the agent. ]][[tool bash {"command":"pwd","description":"Where am I"}]][[say That is my directory.]]';
  await Promise.all([stream(alpha, hello), stream(beta, hello)]);

  title('SIGKILL to the server in the middle of a turn');
  const doomed = stream(alpha, '[[words 200 every 25]]', {
    afterWords: 20,
    do: () => {
      const { pid = 0 } = supervisor.backend('code').status();
      say(`\n${stamp()}  ✂ kill -9 ${pid}`);
      process.kill(pid, 'SIGKILL');
    },
  });
  const outcome = await doomed;
  title('The next prompt, on the server that came back');
  const next = await stream(alpha, '[[say Here I am again, in the same session.]]');

  title(`A warm agent: ${warm.name}`);
  const agent = await supervisor.openSession({ backend: 'agent', directory: world.directory('gamma'), title: 'gamma' });
  const pids = [];
  for (const prompt of ['[[say My first turn.]]', `${warm.tool}[[say My second one, in the same process.]]`]) {
    await stream(agent, prompt);
    pids.push(supervisor.status().backends['agent']?.pid);
  }
  const cancelled = agent.prompt('[[words 2000 every 20]]');
  for await (const event of cancelled) if (event.type === 'text') break;
  say(`${stamp()}  gamma ← words, for ever; and a cancel at the first of them`);
  await cancelled.cancel();
  say(`${stamp()}  gamma ■ ${(await cancelled.result).outcome}`);
  pids.push(supervisor.status().backends['agent']?.pid);
  say(`${stamp()}  ✂ kill -9 ${pids[0] ?? ''}`);
  if (pids[0] !== undefined) process.kill(pids[0], 'SIGKILL');
  const revived = await stream(agent, '[[fresh]][[say Here I am again, and I remember: ]][[recall]]');

  title('status()');
  say(JSON.stringify(supervisor.status(), null, 2));

  title('stop()');
  await supervisor.stop();
  const left = processesWith(world.root);
  say(`${stamp()}  processes left: ${left.length}`);

  title('What this showed');
  expect('two sessions, two directories, one server process', new Set(seen).has('healthy'));
  expect(
    'the killed turn settled once, as indeterminate: it was accepted and is not run again',
    outcome === 'indeterminate',
  );
  expect('the server went recovering → healthy by itself', seen.join(' ').includes('recovering healthy'));
  expect('the session went on', next === 'completed');
  expect(`three turns of ${warm.name}, one of them cancelled, in one process`, new Set(pids).size === 1);
  expect('the agent came back when it was needed, with its session', revived === 'completed');
  expect('nothing is left', left.length === 0);
} finally {
  await supervisor.stop();
  await world.remove();
}
say(`\n${stamp()}  done`);

interface Interruption {
  readonly afterWords: number;
  readonly do: () => void;
}

/** Prints a turn as it streams, and returns how it ended. */
async function stream(session: Session, prompt: string, interruption?: Interruption): Promise<string> {
  const name = session.status().title ?? session.id;
  say(`${stamp()}  ${name} ← ${prompt}`);
  const turn = session.prompt(prompt);
  let words = 0;
  for await (const event of turn) {
    if (event.type === 'text') {
      say(`${stamp()}  ${name} → ${event.text.trim()}`);
      words += event.text.split(' ').length - 1;
      if (interruption && words >= interruption.afterWords) {
        interruption.do();
        interruption = undefined;
      }
    }
    if (event.type === 'tool' && event.tool.status === 'completed') {
      say(`${stamp()}  ${name} ⚒ ${event.tool.name}: ${event.tool.output?.trim() ?? ''}`);
    }
  }
  const result = await turn.result;
  say(`${stamp()}  ${name} ■ ${result.outcome}${result.error ? ` (${result.error.code})` : ''}`);
  return result.outcome;
}

function expect(what: string, held: boolean): void {
  say(`  ${held ? '✓' : '✗'} ${what}`);
  if (!held) process.exitCode = 1;
}
