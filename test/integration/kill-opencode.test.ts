import { expect, it } from 'vitest';
import { killOpencode } from '../chaos/kill-opencode.ts';
import { seededRandom } from '../fixtures/seeded-random.ts';

it('a real server killed at random moments of turns: each turn settles once, none runs twice, and nothing is left', async () => {
  const seed = Math.trunc(Date.now() / 1000);
  const { turns, violations } = await killOpencode({ runs: 5, random: seededRandom(seed) });
  expect(violations, `seed ${seed}`).toEqual([]);
  expect(turns.map(({ settlements }) => settlements)).toEqual([1, 1, 1, 1, 1]);
});
