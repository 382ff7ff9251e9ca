/** What git lists of one worktree. */
export interface ListedWorktree {
  readonly path: string;
  /** A commit; zeros where there is none yet. */
  readonly head: string;
  /** The name of the branch, such as `feature/one`. */
  readonly branch?: string;
  readonly isDetached: boolean;
  readonly isLocked: boolean;
  /** Nothing is where it was. */
  readonly isPrunable: boolean;
}

const BRANCHES = 'refs/heads/';

/**
 * [git] `worktree list --porcelain -z`: a NUL behind each line and another behind each worktree; a line is a label, or a
 * label, a space and a value. The first one is the main worktree.
 */
export function decodeWorktrees(output: string): ListedWorktree[] {
  return output
    .split('\0\0')
    .filter((record) => record !== '')
    .map(decodeWorktree);
}

function decodeWorktree(record: string): ListedWorktree {
  const fields = new Map(record.split('\0').map(labelAndValue));
  const branch = fields.get('branch');
  return {
    path: fields.get('worktree') ?? '',
    head: fields.get('HEAD') ?? '',
    ...(branch === undefined ? {} : { branch: branch.startsWith(BRANCHES) ? branch.slice(BRANCHES.length) : branch }),
    isDetached: fields.has('detached'),
    isLocked: fields.has('locked'),
    isPrunable: fields.has('prunable'),
  };
}

function labelAndValue(line: string): [string, string] {
  const space = line.indexOf(' ');
  return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
}
