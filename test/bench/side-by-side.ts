/** Two ways of doing the same thing, measured in turns, so that a busy machine hurts both. */
export async function inTurns(
  rounds: number,
  [ours, theirs]: readonly [() => Promise<number>, () => Promise<number>],
): Promise<readonly [readonly number[], readonly number[]]> {
  const measured: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    measured[0].push(await ours());
    measured[1].push(await theirs());
  }
  return measured;
}

/** One line: both medians, and how many times the second is the first. */
export function ratioLine(
  what: string,
  unit: string,
  ours: readonly number[],
  theirs: readonly number[],
  than: string,
) {
  const [a, b] = [median(ours), median(theirs)];
  const digits = a < 100 ? 2 : 0;
  return `${what}: ${a.toFixed(digits)} ${unit}, ${than} ${b.toFixed(digits)} ${unit}: 1 to ${(b / a).toFixed(1)}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
