import { describe, expect, it } from 'vitest';
import { crowd } from '../chaos/crowd.ts';
import { gooseAgent } from '../fixtures/agent-worlds.ts';
import { seededRandom } from '../fixtures/seeded-random.ts';

describe.skipIf(!gooseAgent.isInstalled)('more chats of goose than places', () => {
  it('take turns with the processes: each remembers all that it said and nothing else, and none is ended at work', async () => {
    const options = { agent: gooseAgent, chats: 6, places: 2, prompts: 2, maxRestMs: 1_000, random: seededRandom(7) };
    const report = await crowd(options);
    expect(report.violations).toEqual([]);
    expect([report.turns.length, report.mostProcesses]).toEqual([18, 2]);
    expect(report.evictions).toBeGreaterThan(6);
    expect(report.restores).toBeGreaterThan(6);
  });
});
