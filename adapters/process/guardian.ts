import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { RUN_VARIABLE, runId } from './run-identity.ts';
import { signalGroup } from './signals.ts';

/**
 * Ends every child when the host dies, by SIGKILL too: it holds a pipe, and end of file on it means that the host is gone.
 * It reads `+<pgid>` and `-<pgid>` as children come and go (needed only where there is no /proc), `>dir` and `<dir` as
 * private directories come and go, and `quit`. What there is to guard when it starts comes as arguments: the host may be
 * killed before it writes a line.
 * It carries no mark itself, and sits in a session of its own, out of reach of the terminal's signals.
 */
const PROGRAM = `
trap '' HUP INT TERM QUIT PIPE
run=$1
groups=" $2 "
shift 2
dirs=$(printf '%s\\n' "$@")
while read -r line; do
  case "$line" in
    quit) exit 0 ;;
    +*) groups="$groups\${line#+} " ;;
    '>'*) dirs="$dirs
\${line#>}" ;;
    '<'*) dirs=$(echo "$dirs" | grep -vxF "\${line#<}") ;;
    -*) gone="\${line#-}"; groups="\${groups%% $gone *} \${groups#* $gone }" ;;
  esac
done
echo "$dirs" | while read -r dir; do [ -n "$dir" ] && rm -rf "$dir"; done
marked() { for f in $(grep -lsF "${RUN_VARIABLE}=$1:" /proc/[0-9]*/environ 2>/dev/null); do f="\${f#/proc/}"; echo "\${f%/environ}"; done; }
round=0
while [ "$round" -lt 40 ]; do
  if [ -r /proc/self/environ ]; then targets=$(marked "$run"); else targets=''; for g in $groups; do kill -0 "-$g" 2>/dev/null && targets="$targets -$g"; done; fi
  [ -z "$targets" ] && [ "$round" -gt 1 ] && exit 0
  if [ -n "$targets" ]; then
    if [ "$round" -lt 3 ]; then kill -s TERM -- $targets; kill -s CONT -- $targets; else kill -s KILL -- $targets; fi 2>/dev/null
  fi
  round=$((round + 1))
  sleep 0.1
done
`;

interface GuardedRealm {
  readonly groups: Set<number>;
  readonly directories: Set<string>;
  guardian: ChildProcess | undefined;
  exitHook: (() => void) | undefined;
}

const KEY = Symbol.for('agent-supervisor.guardian.v1');

function realm(): GuardedRealm {
  const holder = globalThis as Record<symbol, GuardedRealm | undefined>;
  holder[KEY] ??= { groups: new Set(), directories: new Set(), guardian: undefined, exitHook: undefined };
  return holder[KEY];
}

/** Call before a child is spawned, so that there is no moment in which it would outlive the host. */
export function raiseGuardian(): void {
  const guarded = realm();
  guarded.exitHook ??= hookExit(guarded);
  if (process.platform === 'win32' || guarded.guardian) return;
  guarded.guardian = startGuardian(guarded);
}

/** A child leads this group from now on. */
export function guardGroup(pgid: number): void {
  realm().groups.add(pgid);
  tell(`+${pgid}`);
}

/** The group is gone. With the last one the guardian goes too; resolves when it has. */
export async function unguardGroup(pgid: number): Promise<void> {
  realm().groups.delete(pgid);
  tell(`-${pgid}`);
  await dismissGuardian();
}

/** A private directory of a child: it goes with the host, however that ends. Absolute, without line breaks. */
export function guardDirectory(path: string): void {
  realm().directories.add(path);
  if (realm().guardian) tell(`>${path}`);
  else raiseGuardian();
}

/** The directory was removed. Resolves when the guardian, where nothing is left for it, has gone too. */
export async function unguardDirectory(path: string): Promise<void> {
  realm().directories.delete(path);
  tell(`<${path}`);
  await dismissGuardian();
}

/** Ends the guardian where nothing is left to guard; nothing of this library remains in the host. */
export async function dismissGuardian(): Promise<void> {
  const guarded = realm();
  if (guarded.groups.size + guarded.directories.size > 0) return;
  if (guarded.exitHook) process.off('exit', guarded.exitHook);
  guarded.exitHook = undefined;
  const { guardian } = guarded;
  if (!guardian) return;
  tell('quit');
  guarded.guardian = undefined;
  await dismissed(guardian);
}

function dismissed(guardian: ChildProcess): Promise<void> {
  if (guardian.exitCode !== null || guardian.signalCode !== null || guardian.pid === undefined)
    return Promise.resolve();
  return new Promise((resolve) => {
    guardian.ref();
    guardian.once('exit', () => resolve());
    guardian.stdin?.end();
  });
}

function tell(line: string): void {
  const stdin = realm().guardian?.stdin;
  if (stdin?.writable) stdin.write(`${line}\n`);
}

/** Starts a guardian that knows everything there is to guard. */
function startGuardian(guarded: GuardedRealm): ChildProcess {
  const held = [[...guarded.groups].join(' '), ...guarded.directories];
  const guardian = spawn('/bin/sh', ['-c', PROGRAM, 'agent-supervisor-guardian', runId(), ...held], {
    cwd: '/',
    detached: true,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const onLost = () => {
    if (guarded.guardian !== guardian) return;
    guarded.guardian = undefined;
    if (guarded.groups.size + guarded.directories.size > 0 && guardian.pid !== undefined)
      guarded.guardian = startGuardian(guarded);
  };
  guardian.once('exit', onLost);
  guardian.once('error', onLost);
  const stdin = guardian.stdin as typeof guardian.stdin | undefined; // Absent where no pipe could be made.
  stdin?.on('error', () => undefined); // EPIPE of a guardian that was killed: `exit` replaces it.
  guardian.unref();
  (stdin as unknown as { unref(): void } | undefined)?.unref();
  return guardian;
}

/** The host exits by itself: kill the groups and remove the directories now; the guardian ends what escaped. */
function hookExit(guarded: GuardedRealm): () => void {
  const hook = () => {
    for (const pgid of guarded.groups) signalGroup(pgid, 'SIGKILL');
    for (const path of guarded.directories) rmSync(path, { recursive: true, force: true });
  };
  process.on('exit', hook);
  return hook;
}
