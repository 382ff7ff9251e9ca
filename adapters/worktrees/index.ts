export { orphanWorktrees, type OrphanWorktree } from './orphan-worktrees.ts';
export type { OrphanWorktreesOptions, WorktreeUser } from './options.ts';
