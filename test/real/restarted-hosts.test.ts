import { expect, it } from 'vitest';
import { restartHost } from '../chaos/restart-host.ts';
import { type AgentUnderTest, gooseAgent, opencodeServer } from '../fixtures/agent-worlds.ts';
import { seededRandom } from '../fixtures/seeded-random.ts';

const RUNS = 3;
const LIMIT_MS = 300_000;

if (!gooseAgent.isInstalled) console.warn('goose is not installed here: its hosts are not restarted (npm run agents).');

async function expectAccounts(agent: AgentUnderTest): Promise<void> {
  const seed = Math.trunc(Date.now() / 1000);
  const { turns, violations } = await restartHost({ agent, runs: RUNS, random: seededRandom(seed) });
  expect(violations, `seed ${seed}: ${JSON.stringify(turns)}`).toEqual([]);
  expect(turns).toHaveLength(RUNS);
}

it(
  'hosts of an opencode server killed at random moments of turns: the next one knows what became of each, none runs twice, and the chat goes on',
  () => expectAccounts(opencodeServer),
  LIMIT_MS,
);

it.skipIf(!gooseAgent.isInstalled)('hosts of goose: the same', () => expectAccounts(gooseAgent), LIMIT_MS);
