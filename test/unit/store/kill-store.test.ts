import { describe, expect, it } from 'vitest';
import { killStore } from '../../chaos/kill-store.ts';
import { seededRandom } from '../../fixtures/seeded-random.ts';

describe('a host that is killed while it writes its store', () => {
  it('leaves each record whole and none older than what it was told is kept, and the next host opens it at once', async () => {
    const { kills, violations } = await killStore({ runs: 20, random: seededRandom(20) });
    expect(violations).toEqual([]);
    expect(kills.filter(({ acknowledged }) => acknowledged > 0).length).toBeGreaterThan(15);
  });
});
