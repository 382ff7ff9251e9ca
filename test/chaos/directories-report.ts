import { type DirectoriesReport, type DirectorySample, growthOf } from './directories.ts';

/** Two runs over as many directories: with limits, and with none. */
export interface SideBySide {
  readonly limited: DirectoriesReport;
  readonly control: DirectoriesReport;
}

/** With limits a directory may cost so much of what it costs without. */
const BOUNDED = 0.25;
/** Directories until a server has warmed up. */
const WARM_UP = 100;

/** What both runs found, in lines for people. */
export function linesOf({ limited, control }: SideBySide): readonly string[] {
  const rows = limited.samples.map((sample, index) => [sample, control.samples[index]] as const);
  const { rested } = limited;
  return [
    'directories | MB, live, given up, descriptors, children: with limits | without',
    ...rows.map(([one, other]) => `${cell(one.directories)} | ${cells(one)} | ${other ? cells(other) : '-'}`),
    `growth per 100 directories after the first ${WARM_UP}: ${megabytes(slope(limited))} with limits, ${megabytes(slope(control))} without`,
    `in the second half: ${megabytes(secondHalf(limited))} with limits, ${megabytes(secondHalf(control))} without`,
    `at the end: ${memory(limited)} MB with limits, ${memory(control)} MB without, after ${control.samples.at(-1)?.directories ?? 0}`,
    ...(rested ? [`when nobody had used it for long: ${cells(rested)}`] : []),
  ];
}

/** Whatever went wrong, and memory that is not bounded. */
export function violationsOf(runs: SideBySide): readonly string[] {
  const { limited, control } = runs;
  const found = [...limited.violations, ...control.violations.map((violation) => `without limits: ${violation}`)];
  const isBounded = secondHalf(limited) < BOUNDED * secondHalf(control);
  return isBounded ? found : [...found, 'With limits the memory of the server is not bounded.'];
}

function slope({ samples }: DirectoriesReport): number {
  return growthOf(samples.filter(({ directories }) => directories >= WARM_UP));
}

function secondHalf({ samples }: DirectoriesReport): number {
  return growthOf(samples.slice(Math.floor(samples.length / 2)));
}

const memory = ({ samples }: DirectoriesReport): number | string => samples.at(-1)?.rssMb ?? '-';
const megabytes = (value: number): string => (Number.isFinite(value) ? `${Math.round(value)} MB` : '-');
const cell = (value: number): string => String(value).padStart(5);
const cells = ({ rssMb, live, disposed, descriptors, children }: DirectorySample): string =>
  [rssMb, live, disposed, descriptors, children].map(cell).join('');
