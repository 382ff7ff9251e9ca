import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  setup,
  type StateNode,
} from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

/** A chart, what may happen to it, and what must hold in each of its states. */
export interface ChartUnderTest {
  readonly machine: AnyStateMachine;
  /** Paths are made and replayed for each; the coverage is that of all together. */
  readonly inputs?: readonly unknown[];
  /** What may happen less for one of them, by its place: with everything at once there would be too many paths. */
  readonly unlikely?: Readonly<Record<number, Readonly<Record<string, readonly object[]>>>>;
  /** By event type, each variant that a guard or an action tells apart. */
  readonly alphabet: Readonly<Record<string, readonly object[]>>;
  /** What the guards read of the context: paths differ where this differs. */
  readonly relevant: (context: never, state: string) => unknown;
  /** Throws where the actor is not what its state says. */
  readonly check: (snapshot: AnyMachineSnapshot) => void;
  readonly limit?: number;
}

export interface PathReport {
  readonly paths: number;
  readonly steps: number;
  readonly states: Coverage;
  readonly transitions: Coverage;
}

export interface Coverage {
  readonly taken: number;
  readonly all: number;
  readonly missing: readonly string[];
}

interface Step {
  readonly event: EventObject;
}

/**
 * Generates paths through the production chart, so that each transition is taken, and replays each on a real actor in
 * virtual time with children that the path controls.
 */
export function replayAllPaths(chart: ChartUnderTest): PathReport {
  const { machine, inputs = [undefined] } = chart;
  const seenStates = new Set<string>();
  const seenTransitions = new Set<unknown>();
  let count = 0;
  let steps = 0;
  for (const [place, input] of inputs.entries()) {
    const alphabet = { ...chart.alphabet, ...chart.unlikely?.[place] };
    for (const path of generate({ ...chart, alphabet }, input)) {
      count += 1;
      steps += replay(chart, input, path.steps, { seenStates, seenTransitions });
    }
  }
  const states = stateNodes(machine).filter((node) => node !== machine.root);
  const transitions = states.flatMap(transitionsOf).concat(transitionsOf(machine.root));
  return {
    paths: count,
    steps,
    states: coverage(
      states,
      (node) => seenStates.has(node.id),
      (node) => node.id,
    ),
    transitions: coverage(transitions, (transition) => seenTransitions.has(transition.definition), describe),
  };
}

function generate(
  { machine, alphabet, relevant, limit = 20_000 }: ChartUnderTest,
  input: unknown,
): { steps: readonly Step[] }[] {
  const paths = getShortestPaths(machine, {
    input,
    limit,
    events: (snapshot: AnyMachineSnapshot) => eventsIn(snapshot, alphabet),
    serializeState: (snapshot: AnyMachineSnapshot, event: unknown, previous: AnyMachineSnapshot | undefined) =>
      JSON.stringify([
        snapshot.value,
        relevant(snapshot.context as never, topLevel(snapshot.value)),
        event,
        previous?.value,
      ]),
  } as never) as unknown as { steps: readonly Step[] }[];
  return longestOnly(paths);
}

const topLevel = (value: unknown): string =>
  typeof value === 'string' ? value : (Object.keys(value as object)[0] ?? '');

/** A path that is the beginning of another one is replayed with it. */
function longestOnly(paths: { steps: readonly Step[] }[]): { steps: readonly Step[] }[] {
  const prefixes = new Set(
    paths.flatMap(({ steps }) => steps.slice(0, -1).map((_, end) => key(steps.slice(0, end + 1)))),
  );
  return paths.filter(({ steps }) => steps.length > 0 && !prefixes.has(key(steps)));
}

const key = (steps: readonly Step[]): string => steps.map(({ event }) => JSON.stringify(event)).join('\n');

/** What can happen now: the variants of the alphabet, timers of the active states, and children that are done. */
function eventsIn(snapshot: AnyMachineSnapshot, alphabet: ChartUnderTest['alphabet']): EventObject[] {
  if (snapshot.status !== 'active') return [];
  const types = new Set(snapshot._nodes.flatMap((node) => [...node.transitions.keys()]));
  return [...types].flatMap((type) => {
    if (type.startsWith('xstate.after.') || (type.startsWith('xstate.done.') && !type.includes('*'))) return [{ type }];
    const variants = alphabet[type];
    if (!variants) throw new Error(`The alphabet has no variant of "${type}"`);
    return variants.map((variant) => ({ type, ...variant }));
  });
}

interface Seen {
  readonly seenStates: Set<string>;
  readonly seenTransitions: Set<unknown>;
}

function replay({ machine, check }: ChartUnderTest, input: unknown, steps: readonly Step[], seen: Seen): number {
  const clock = new VirtualClock();
  const inspect = (inspected: { type: string; _transitions?: readonly unknown[]; snapshot?: unknown }) => {
    if (inspected.type !== '@xstate.microstep') return;
    for (const transition of inspected._transitions ?? []) seen.seenTransitions.add(transition);
    for (const node of (inspected.snapshot as AnyMachineSnapshot)._nodes) seen.seenStates.add(node.id);
  };
  const actor = createActor(machine, { clock, input, inspect } as never);
  const errors: unknown[] = [];
  actor.subscribe({ error: (error) => errors.push(error) });
  actor.start();
  for (const node of actor.getSnapshot()._nodes) seen.seenStates.add(node.id);
  for (const { event } of steps) {
    if (event.type === 'xstate.init') continue;
    perform(actor, machine, clock, event);
    if (errors.length > 0) throw new Error(`The chart broke on ${event.type}`, { cause: errors[0] });
    check(actor.getSnapshot());
  }
  actor.stop();
  if (clock.pending.length > 0) throw new Error(`Timers are left after the stop: ${clock.pending.join(', ')}`);
  return steps.length;
}

function perform(
  actor: ReturnType<typeof createActor>,
  machine: AnyStateMachine,
  clock: VirtualClock,
  event: EventObject,
): void {
  if (event.type.startsWith('xstate.after.'))
    return clock.fire(delayOf(actor.getSnapshot() as AnyMachineSnapshot, machine, event.type));
  if (event.type.startsWith('xstate.done.actor.')) {
    const child = (actor.getSnapshot() as AnyMachineSnapshot).children[event.type.slice('xstate.done.actor.'.length)];
    if (child) return child.send({ type: 'finish' });
  }
  actor.send(event);
}

function delayOf({ context }: AnyMachineSnapshot, machine: AnyStateMachine, type: string): number {
  const name = type.split('.')[2] ?? '';
  const delay = (machine.implementations.delays as Record<string, unknown>)[name];
  return typeof delay === 'function'
    ? (delay as (args: object) => number)({ context, event: { at: 0 } })
    : Number(delay);
}

function stateNodes(machine: AnyStateMachine): StateNode[] {
  const all: StateNode[] = [];
  const visit = (node: StateNode) => {
    all.push(node);
    for (const child of Object.values(node.states)) visit(child);
  };
  visit(machine.root);
  return all;
}

interface NamedTransition {
  readonly source: string;
  readonly event: string;
  readonly index: number;
  readonly definition: unknown;
}

function transitionsOf(node: {
  id: string;
  transitions: Map<string, unknown[]>;
  always?: unknown[] | undefined;
}): NamedTransition[] {
  const named = (event: string, definitions: readonly unknown[]) =>
    definitions.map((definition, index) => ({ source: node.id, event, index, definition }));
  const events = [...node.transitions].flatMap(([event, definitions]) => named(event, definitions));
  return [...events, ...named('always', node.always ?? [])];
}

const describe = ({ source, event, index }: NamedTransition): string => `${source} on ${event} [${index}]`;

function coverage<T>(all: readonly T[], isTaken: (item: T) => boolean, name: (item: T) => string): Coverage {
  const missing = all.filter((item) => !isTaken(item)).map(name);
  return { taken: all.length - missing.length, all: all.length, missing };
}

/** A child machine that is done when the path says so. */
export const controlledChild = setup({}).createMachine({
  initial: 'running',
  states: { running: { on: { finish: { target: 'finished' } } }, finished: { type: 'final' } },
});

export function summary(name: string, { paths, steps, states, transitions }: PathReport): string {
  const share = ({ taken, all }: Coverage) => `${taken} of ${all}`;
  return `${name}: ${paths} paths, ${steps} steps; ${share(states)} states, ${share(transitions)} transitions`;
}
