import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { orphanWorktrees, type OrphanWorktreesOptions } from '../../adapters/worktrees/index.ts';
import { type StoredSession, type SessionStatus } from '../../index.ts';
import { GitRepository } from '../fixtures/git-repository.ts';

const now = Date.UTC(2026, 0, 10);
const hour = 3_600_000;
const ago = (ms: number) => new Date(now - ms);
const iso = (ms: number) => ago(ms).toISOString();

let repository: GitRepository;
beforeEach(() => void (repository = new GitRepository()));
afterEach(() => repository.remove());

/** The orphans of a repository in which nothing was written for a day. */
async function orphans(options: Partial<OrphanWorktreesOptions> = {}) {
  repository.age(ago(24 * hour));
  return orphanWorktrees({ repository: repository.main, inUse: [], now, ...options });
}
const paths = async (options?: Partial<OrphanWorktreesOptions>) =>
  (await orphans(options)).map(({ path }) => path).sort();
const session = (directory: string, more: Partial<StoredSession> = {}): StoredSession => ({
  backend: 'code',
  chatId: 'chat',
  agentSessionId: 'session',
  directory,
  status: 'idle',
  lastActiveAt: iso(48 * hour),
  generation: 1,
  hasHistory: true,
  ...more,
});

describe('what is known of an orphan', () => {
  it('is everything that would be lost with it; one that is clean and pushed is safe', async () => {
    repository.push();
    const path = repository.worktree('clean');
    const head = repository.git(path, 'rev-parse', 'HEAD').trim();
    expect(await orphans()).toEqual([
      {
        path,
        branch: 'clean',
        head,
        isDetached: false,
        isLocked: false,
        isMissing: false,
        isDirty: false,
        dirtyFiles: 0,
        unpushedCommits: 0,
        lastActiveAt: iso(24 * hour),
        isSafe: true,
      },
    ]);
  });

  it.each<[string, (path: string) => void, number]>([
    ['a changed file', (path) => writeFileSync(join(path, 'first'), 'changed'), 1],
    ['a file that was removed', (path) => unlinkSync(join(path, 'first')), 1],
    [
      'untracked files, each for itself',
      (path) => {
        mkdirSync(join(path, 'new'));
        for (const name of ['a', 'b', 'with\nnewline']) writeFileSync(join(path, 'new', name), '');
      },
      3,
    ],
    [
      'a file that was renamed and staged: one gone, one new',
      (path) => {
        renameSync(join(path, 'first'), join(path, 'second'));
        repository.git(path, 'add', '--all');
      },
      2,
    ],
  ])('counts %s as dirty, and is not safe', async (_, change, dirtyFiles) => {
    repository.push();
    change(repository.worktree('dirty'));
    expect(await orphans()).toMatchObject([{ isDirty: true, dirtyFiles, unpushedCommits: 0, isSafe: false }]);
  });

  it('counts untracked files also where git is told to show none, and none that are ignored', async () => {
    repository.push();
    const path = repository.worktree('dirty');
    repository.git(path, 'config', 'status.showUntrackedFiles', 'no');
    repository.git(path, 'config', 'status.branch', 'true');
    repository.git(path, 'config', 'status.showStash', 'true');
    writeFileSync(join(path, 'first'), 'put away');
    repository.git(path, 'stash', '--quiet');
    writeFileSync(join(repository.main, '.git', 'info', 'exclude'), 'ignored\n');
    writeFileSync(join(path, 'ignored'), '');
    expect(await orphans()).toMatchObject([{ dirtyFiles: 0, isSafe: true }]);
    writeFileSync(join(path, 'untracked'), '');
    expect(await orphans()).toMatchObject([{ dirtyFiles: 1, isSafe: false }]);
  });

  it('counts the commits that no remote has', async () => {
    repository.push();
    const path = repository.worktree('ahead');
    for (const name of ['second', 'third']) repository.commit(path, name);
    expect(await orphans()).toMatchObject([{ isDirty: false, unpushedCommits: 2, isSafe: false }]);
    repository.git(path, 'push', '--quiet', 'origin', 'HEAD:refs/heads/elsewhere');
    expect(await orphans()).toMatchObject([{ unpushedCommits: 0, isSafe: true }]);
  });

  it('counts all commits where there is no remote', async () => {
    const path = repository.worktree('alone');
    repository.commit(path, 'second');
    expect(await orphans()).toMatchObject([{ unpushedCommits: 2, isSafe: false }]);
  });

  it('tells what is detached, and what is locked and therefore not safe', async () => {
    repository.push();
    repository.worktree('detached', '--detach');
    const locked = repository.worktree('locked');
    repository.git(repository.main, 'worktree', 'lock', '--reason', 'on a\nstick', locked);
    const found = (await orphans()).map(({ branch, isDetached, isLocked, isSafe }) => ({
      branch,
      isDetached,
      isLocked,
      isSafe,
    }));
    expect(found).toEqual(
      expect.arrayContaining([
        { branch: undefined, isDetached: true, isLocked: false, isSafe: true },
        { branch: 'locked', isDetached: false, isLocked: true, isSafe: false },
      ]),
    );
  });

  it('tells what is missing, and counts its commits all the same', async () => {
    repository.push();
    const path = repository.worktree('gone');
    repository.commit(path, 'second');
    rmSync(path, { recursive: true });
    expect(await orphans()).toMatchObject([{ path, isMissing: true, dirtyFiles: 0, unpushedCommits: 1 }]);
    repository.git(repository.main, 'push', '--quiet', 'origin', 'gone');
    expect(await orphans()).toMatchObject([{ path, isMissing: true, isSafe: true }]);
  });

  it('tells what is missing and locked', async () => {
    const path = repository.worktree('gone');
    repository.git(repository.main, 'worktree', 'lock', path);
    rmSync(path, { recursive: true });
    expect(await orphans()).toMatchObject([{ path, isMissing: true, isLocked: true, isSafe: false }]);
  });

  it('takes files where git sees no worktree any more for dirty, and never for those of the repository around it', async () => {
    repository.push();
    const path = repository.worktree('main/inside');
    unlinkSync(join(path, '.git'));
    expect(await orphans()).toMatchObject([{ path, isMissing: true, isDirty: true, dirtyFiles: 1, isSafe: false }]);
  });

  it('says why one could not be looked at, and looks at the others', async () => {
    repository.push();
    const broken = repository.worktree('broken');
    repository.worktree('whole');
    writeFileSync(join(repository.gitDirectory(broken), 'index'), 'no index');
    const found = await orphans();
    expect(found.find(({ path }) => path === broken)).toMatchObject({
      isSafe: false,
      problem: expect.stringMatching(/^git status in .*broken failed: .*index/) as string,
    });
    expect(found.find(({ path }) => path !== broken)).toMatchObject({ isSafe: true });
  });

  it('does not vouch for submodules', async () => {
    repository.push();
    const path = repository.worktree('with-modules');
    mkdirSync(join(repository.gitDirectory(path), 'modules'));
    expect(await orphans()).toMatchObject([
      { isSafe: false, problem: expect.stringContaining('submodules') as string },
    ]);
  });

  it('is told of a branch without a commit', async () => {
    const path = repository.worktree('unborn');
    repository.git(path, 'symbolic-ref', 'HEAD', 'refs/heads/nothing-yet');
    repository.git(path, 'rm', '--quiet', '--cached', 'first');
    rmSync(join(path, 'first'));
    expect(await orphans()).toMatchObject([{ branch: 'nothing-yet', head: '0'.repeat(40), unpushedCommits: 0 }]);
  });

  it.each(['with spaces and "quotes"', 'with\nnewline', 'worktree /a\nHEAD b', 'ünïcødé — 文', "-it's", '$(touch x)'])(
    'survives the name %j',
    async (name) => {
      repository.push();
      const path = repository.worktree(name, '--detach');
      writeFileSync(join(path, 'untracked'), '');
      expect(await orphans()).toMatchObject([{ path, isMissing: false, dirtyFiles: 1, isDetached: true }]);
    },
  );
});

describe('which worktrees are orphans', () => {
  it('is asked of any of them, and never the main one', async () => {
    const [one, two] = [repository.worktree('one'), repository.worktree('two')];
    mkdirSync(join(two, 'deep'));
    for (const from of [repository.main, one, join(two, 'deep'), join(repository.main, '.git')])
      expect(await paths({ repository: from })).toEqual([one, two]);
  });

  it('is none where there is only the main one', async () => {
    expect(await orphanWorktrees({ repository: repository.main, inUse: [] })).toEqual([]);
  });

  it('is none that a session works in: there, below it, or through a link', async () => {
    const [one, two, three, four] = ['one', 'two', 'three', 'four'].map((name) => repository.worktree(name));
    const link = join(repository.root, 'link');
    symlinkSync(three!, link);
    const inUse = [one!, join(two!, 'not', 'there', 'yet'), join(link, '.')];
    expect(await paths({ inUse })).toEqual([four]);
  });

  it('is one whose name only begins like that of one in use, or the other way round', async () => {
    const [one, longer] = [repository.worktree('one'), repository.worktree('one-more')];
    expect(await paths({ inUse: [one] })).toEqual([longer]);
    expect(await paths({ inUse: [longer] })).toEqual([one]);
  });

  it('is none that was made through a link, where the session names the directory itself', async () => {
    mkdirSync(join(repository.root, 'real'));
    symlinkSync(join(repository.root, 'real'), join(repository.root, 'alias'));
    repository.worktree('alias/one');
    expect(await paths({ inUse: [join(repository.root, 'real', 'one')] })).toEqual([]);
  });

  it('takes the sessions of a status and the records of a store as they are', async () => {
    const [one, two, three, four] = ['one', 'two', 'three', 'four'].map((name) => repository.worktree(name));
    const running = { id: 's', chatId: 'c', backend: 'code', directory: one } as SessionStatus;
    const records = [session(two!), session(three!, { status: 'crashed' }), session(four!, { status: 'closed' })];
    expect(await paths({ inUse: [running, ...records] })).toEqual([four]);
  });

  it('is none within the grace of its last session, also of a closed one', async () => {
    const [one, two] = [repository.worktree('one'), repository.worktree('two')];
    const closed = (directory: string, ms: number) => session(directory, { status: 'closed', lastActiveAt: iso(ms) });
    const inUse = [closed(one, hour - 1), closed(two, hour), closed(one, 30 * hour)];
    expect(await orphans({ inUse })).toMatchObject([{ path: two, lastActiveAt: iso(hour) }]);
    expect(await paths({ inUse, graceMs: hour - 1 })).toEqual([one, two]);
  });

  it.each(['index', 'HEAD', 'logs/HEAD'])('is none within the grace of what git wrote in its %s', async (file) => {
    const [one, two] = [repository.worktree('one'), repository.worktree('two')];
    repository.age(ago(24 * hour));
    const written = join(repository.gitDirectory(one), file);
    utimesSync(written, ago(hour - 1), ago(hour - 1));
    const found = await orphanWorktrees({ repository: repository.main, inUse: [], now });
    expect(found.map(({ path }) => path)).toEqual([two]);
  });

  it('is told with the one that was idle for longest first', async () => {
    const [one, two] = [repository.worktree('one'), repository.worktree('two')];
    const closed = (directory: string, ms: number) => session(directory, { status: 'closed', lastActiveAt: iso(ms) });
    const found = await orphans({ inUse: [closed(one, 2 * hour), closed(two, 3 * hour)] });
    expect(found.map(({ path }) => path)).toEqual([two, one]);
  });
});

describe('looking for orphans', () => {
  it('writes nothing and runs no hook, no monitor and nothing that the environment of the host names', async () => {
    repository.push();
    const path = repository.worktree('one');
    const trap = join(repository.root, 'trap');
    writeFileSync(trap, `#!/bin/sh\ntouch ${JSON.stringify(join(repository.root, 'sprung'))}\n`);
    chmodSync(trap, 0o755);
    for (const hook of ['post-index-change', 'post-checkout', 'reference-transaction'])
      symlinkSync(trap, join(repository.main, '.git', 'hooks', hook));
    repository.git(path, 'config', 'core.fsmonitor', trap);
    repository.age(ago(24 * hour));
    utimesSync(join(path, 'first'), ago(hour), ago(hour)); // git would note in its index that this is not a change.
    const before = repository.fingerprint();
    process.env['GIT_DIR'] = '/nowhere';
    process.env['GIT_PAGER'] = trap;
    try {
      expect(await orphanWorktrees({ repository: repository.main, inUse: [], now })).toMatchObject([
        { path, dirtyFiles: 0 },
      ]);
    } finally {
      Reflect.deleteProperty(process.env, 'GIT_DIR');
      Reflect.deleteProperty(process.env, 'GIT_PAGER');
    }
    expect(repository.fingerprint()).toEqual(before);
  });

  it('takes fifty worktrees in a few seconds', async () => {
    repository.push();
    for (let count = 0; count < 50; count += 1) repository.worktree(`worktree-${count}`, '--detach');
    const startedAt = performance.now();
    const found = await orphans();
    expect([found.length, found.every(({ isSafe }) => isSafe)]).toEqual([50, true]);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('rejects where there is no repository, or no directory', async () => {
    const refusal = { name: 'SupervisorError', code: 'ERR_INVALID_OPTION' };
    await expect(orphanWorktrees({ repository: repository.root, inUse: [] })).rejects.toMatchObject({
      ...refusal,
      message: expect.stringContaining('not a git repository') as string,
    });
    await expect(orphanWorktrees({ repository: join(repository.root, 'nowhere'), inUse: [] })).rejects.toMatchObject(
      refusal,
    );
  });

  it('rejects where there is no git, and says so', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = repository.root;
    try {
      await expect(orphanWorktrees({ repository: repository.main, inUse: [] })).rejects.toMatchObject({
        code: 'ERR_SPAWN_FAILED',
        message: 'git could not be started (ENOENT): install it, or put it on the PATH.',
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('rejects where git is too old to tell names apart', async () => {
    const path = process.env['PATH'];
    writeFileSync(join(repository.root, 'git'), '#!/bin/sh\necho "error: unknown switch \'z\'" >&2\nexit 129\n');
    chmodSync(join(repository.root, 'git'), 0o755);
    process.env['PATH'] = `${repository.root}:${path ?? ''}`;
    try {
      await expect(orphanWorktrees({ repository: repository.main, inUse: [] })).rejects.toMatchObject({
        code: 'ERR_VERSION_MISMATCH',
        message: expect.stringContaining('git 2.36 or later') as string,
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  it('ends with its signal', async () => {
    repository.worktree('one');
    const reason = new Error('enough');
    const before = orphanWorktrees({ repository: repository.main, inUse: [], signal: AbortSignal.abort(reason) });
    await expect(before).rejects.toBe(reason);
    const aborter = new AbortController();
    const meanwhile = orphans({ signal: aborter.signal });
    aborter.abort(reason);
    await expect(meanwhile).rejects.toBe(reason);
  });

  it.each<[string, object, string]>([
    ['a relative repository', { repository: 'here', inUse: [] }, 'repository: expected an absolute path'],
    ['no list of who works', { repository: '/tmp' }, 'inUse: expected an array of directories and sessions'],
    ['a relative directory', { repository: '/tmp', inUse: ['here'] }, 'inUse[0]: expected an absolute path'],
    ['a session without one', { repository: '/tmp', inUse: [{}] }, 'inUse[0].directory: expected a non-empty string'],
    [
      'a time that is none',
      { repository: '/tmp', inUse: [{ directory: '/a', lastActiveAt: 'soon' }] },
      'inUse[0].lastActiveAt: expected an ISO time',
    ],
    ['a grace below zero', { repository: '/tmp', inUse: [], graceMs: -1 }, 'graceMs: expected a whole number'],
    ['an option that there is not', { repository: '/tmp', inUse: [], force: true }, 'expected only the options'],
  ])('rejects %s', async (_, options, message) => {
    await expect(orphanWorktrees(options as OrphanWorktreesOptions)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringContaining(message) as string,
    });
  });
});
