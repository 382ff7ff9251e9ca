import { describe, expect, it } from 'vitest';
import { type ChartUnderTest, replayAllPaths, summary } from './chart-paths.ts';

/** A chart has thousands of paths, and a machine other things to do; in milliseconds. */
const LIMIT_MS = 300_000;

/** One test for each chart: generated paths take everything that it has. */
export function takeEverything(charts: Readonly<Record<string, ChartUnderTest>>): void {
  describe('generated paths through each chart, replayed on a real actor in virtual time', () => {
    it.each(Object.entries(charts))(
      'take every state and every transition of %s',
      { timeout: LIMIT_MS },
      (name, chart) => {
        const report = replayAllPaths(chart);
        console.info(summary(name, report));
        expect({ states: report.states.missing, transitions: report.transitions.missing }).toEqual({
          states: [],
          transitions: [],
        });
      },
    );
  });
}
