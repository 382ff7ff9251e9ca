import { holdings, processesWith } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

/** Runs the work in a world of its own. Whatever nobody handled, and whatever is left after it, is a violation. */
export async function watched<T>(violations: string[], work: (world: OpencodeWorld) => Promise<T>): Promise<T> {
  const noted = (kind: string) => (error: unknown) => violations.push(`${kind}: ${String(error)}`);
  const onRejection = noted('unhandled rejection');
  const onWarning = noted('warning');
  process.on('unhandledRejection', onRejection);
  process.on('warning', onWarning);
  const before = holdings();
  const world = await OpencodeWorld.create();
  try {
    return await work(world);
  } finally {
    await world.remove();
    process.off('unhandledRejection', onRejection);
    process.off('warning', onWarning);
    violations.push(...leftovers(before, world.root));
  }
}

function leftovers(before: ReturnType<typeof holdings>, root: string): string[] {
  const after = holdings();
  const left: string[] = [];
  if (processesWith(root).length > 0) left.push(`processes left: ${processesWith(root).join(', ')}`);
  const children = after.childProcesses.filter((pid) => !before.childProcesses.includes(pid));
  if (children.length > 0) left.push(`child processes left: ${children.join(', ')}`);
  if (after.sockets > before.sockets) left.push(`${after.sockets - before.sockets} sockets left`);
  if (after.pipes > before.pipes) left.push(`${after.pipes - before.pipes} pipes left`);
  if (after.exitListeners > before.exitListeners) left.push('exit listeners left');
  return left;
}
