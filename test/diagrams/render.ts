import type { AnyStateMachine, StateNode } from 'xstate';

interface Edge {
  readonly source: Node;
  readonly event: string;
  readonly guard: string;
  readonly targets: readonly Node[];
  readonly actions: readonly string[];
}

type Node = StateNode;

/** A chart as a diagram, and as a table of everything that can happen in each state. */
export function renderChart(name: string, machine: AnyStateMachine): string {
  const root = machine.root as unknown as Node;
  return [
    `## ${name}`,
    '',
    '```mermaid',
    'stateDiagram-v2',
    ...diagram(root, 1),
    '```',
    '',
    ...stateTable(root),
    '',
    ...eventTable(root),
    '',
  ].join('\n');
}

function diagram(node: Node, depth: number): string[] {
  const indent = '  '.repeat(depth);
  const children = Object.values(node.states);
  const initial = children.length > 0 ? [`${indent}[*] --> ${mermaidId(initialOf(node))}`] : [];
  const nested = children.flatMap((child) => childLines(child, depth));
  const edges = edgesOf(node)
    .filter((edge) => edge.targets.length > 0 && depth > 0)
    .flatMap((edge) => edge.targets.map((target) => [edge, target] as const));
  const lines = depth === 1 && node.parent === undefined ? edges.map(([edge, target]) => rootLine(edge, target)) : [];
  return [...initial, ...nested, ...lines.map((line) => indent + line)];
}

function childLines(child: Node, depth: number): string[] {
  const indent = '  '.repeat(depth);
  const id = mermaidId(child);
  const isCompound = Object.keys(child.states).length > 0;
  const head = isCompound
    ? [`${indent}state "${child.key}" as ${id} {`, ...diagram(child, depth + 1), `${indent}}`]
    : [`${indent}state "${child.key}" as ${id}`];
  const end = child.type === 'final' ? [`${indent}${id} --> [*]`] : [];
  const edges = edgesOf(child).flatMap((edge) =>
    edge.targets.map((target) => `${indent}${id} --> ${mermaidId(target)}: ${label(edge)}`),
  );
  return [...head, ...end, ...edges];
}

/** A transition of the chart itself: from wherever it is. */
function rootLine(edge: Edge, target: Node): string {
  return `note right of ${mermaidId(target)}: from any state on ${label(edge)}`;
}

const label = ({ event, guard }: Edge): string => (guard === '' ? event : `${event} [${guard}]`);

function stateTable(root: Node): string[] {
  const rows = nodesOf(root).filter((node) => node.parent !== undefined);
  return ['| state | means |', '|---|---|', ...rows.map((node) => `| \`${path(node)}\` | ${node.description ?? ''} |`)];
}

function eventTable(root: Node): string[] {
  const rows = nodesOf(root).flatMap((node) => [...entryRows(node), ...edgesOf(node).map((edge) => edgeRow(edge))]);
  return ['| state | event | if | goes to | does |', '|---|---|---|---|---|', ...rows];
}

function entryRows(node: Node): string[] {
  const rows = [
    ['entry', node.entry.filter(isOwn)],
    ['exit', node.exit.filter(isOwn)],
  ] as const;
  const invokes = node.invoke.map(
    (invoked) =>
      `| ${code(path(node))} | *while here* | | | runs ${code(typeof invoked.src === 'string' ? invoked.src : 'inline')} |`,
  );
  return [
    ...rows
      .filter(([, actions]) => actions.length > 0)
      .map(([when, actions]) => `| ${code(path(node))} | *${when}* | | | ${named(actions)} |`),
    ...invokes,
  ];
}

/** Timers are entry and exit actions too; they stand in the table as events. */
const isOwn = (action: unknown): boolean => !['raise', 'cancel'].includes(actionName(action));

function edgeRow({ source, event, guard, targets, actions }: Edge): string {
  const to = targets.length === 0 ? '*stays*' : targets.map((target) => code(path(target))).join(', ');
  return `| ${code(path(source))} | ${code(event)} | ${guard === '' ? '' : code(guard)} | ${to} | ${actions.map(code).join(', ')} |`;
}

function edgesOf(node: Node): Edge[] {
  const all = [...node.transitions.values(), node.always ?? []].flat();
  return all.map((transition) => ({
    source: node,
    event: eventName(transition.eventType),
    guard: guardName(transition.guard),
    targets: transition.target ?? [],
    actions: (transition.actions as readonly unknown[]).map(actionName),
  }));
}

/** `xstate.after.readyTimeout.server.starting` is read as `after readyTimeout`. */
function eventName(type: string): string {
  if (type === '') return 'always';
  const [, kind, name] = type.split('.');
  if (type.startsWith('xstate.after.')) return `after ${name ?? ''}`;
  if (type.startsWith('xstate.done.actor.')) return `${type.slice('xstate.done.actor.'.length)} is done`;
  return type.startsWith('xstate.error.actor.') ? `${kind ?? ''}: a child broke` : type;
}

function guardName(guard: unknown): string {
  if (guard === undefined) return '';
  if (typeof guard === 'string') return guard;
  const { type = 'inline', params } = guard as { type?: string; params?: unknown };
  const values = typeof params === 'object' && params !== null ? Object.values(params).map(String) : [];
  return [type, ...values].join(' ');
}

function actionName(action: unknown): string {
  if (typeof action === 'string') return action;
  if (typeof action === 'function') return action.name || 'inline';
  const { type = 'inline', params } = action as { type?: string; params?: unknown };
  const literal = typeof params === 'object' && params !== null ? Object.values(params) : [];
  const text = literal.map((value) =>
    typeof value === 'object' ? ((value as { type?: string }).type ?? '') : String(value),
  );
  return text.length > 0 && text.some((part) => part !== '') ? `${type}(${text.join(', ')})` : type;
}

const named = (actions: readonly unknown[]): string => actions.map((action) => code(actionName(action))).join(', ');
const code = (text: string): string => `\`${text}\``;
const path = (node: Node): string => node.path.join('.') || node.key;
const mermaidId = (node: Node): string => node.path.join('_') || node.key;

function initialOf(node: Node): Node {
  const [target] = node.initial.target as unknown as readonly Node[];
  if (!target) throw new Error(`${node.id} has no initial state`);
  return target;
}

function nodesOf(node: Node): Node[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}
