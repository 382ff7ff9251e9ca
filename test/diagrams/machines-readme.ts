import {
  agentMachine,
  backoffMachine,
  externalMachine,
  groupMachine,
  poolMachine,
  healthMachine,
  serverMachine,
  streamMachine,
  supervisorMachine,
  turnMachine,
} from '../../machines/index.ts';
import { renderChart } from './render.ts';

const INTRODUCTION = `# The charts

Generated from the charts by \`npm run diagrams\`; a test fails when this page and the charts differ.

\`\`\`
supervisor                        starts, routes, drains; restarts a chart that broke
├─ backend:<id> = server          one opencode server and its process lives
│   ├─ process                    one process life: prepared, spawned, listening, ended
│   ├─ verify                     proves that the server is ours and works
│   ├─ modelLimits                learns what the models can hold, while it is healthy
│   ├─ health → probe             asks again and again, one question at a time
│   ├─ backoff                    the wait before the next life
│   ├─ step                       one rung of the recovery ladder: captureDiagnostics, rollbackConfig, seedConfig, restoreConfig
│   └─ group → stream             one connection to the server's events; sessions attach to it as records
│                 ├─ subscription    the connection
│                 ├─ reconcile       asks what was missed
│                 ├─ stallWatch      notices silence
│                 └─ backoff
├─ backend:<id> = external        a server that somebody else runs: verify, modelLimits, health, group → stream
├─ backend:<id> = pool            as many agents as there are conversations
│   └─ group → agent              one warm agent and its process lives
│                 ├─ process         one process life: spawned, ended
│                 ├─ handshake       agrees on the protocol
│                 ├─ openSessions    opens its sessions: anew, or again after a restart
│                 ├─ health → probe
│                 └─ backoff
└─ group → turn                   one prompt until it settles, only while it is not settled
              ├─ quieter             ends what an earlier turn left working
              ├─ dispatch            sends the prompt
              ├─ auditor             asks what became of it
              ├─ canceller           cancels until it took
              └─ inactivityClock
\`\`\`

Charts hold decisions and no resources. Their context is JSON; they know ids, and the composition in \`actors/\` finds the
resources by them. Facts carry \`at\`, a monotonic time in milliseconds; commands carry none. Every actor that touches the
world is declared here and provided there: started without, it fails and says so.

Where this differs from what one might expect:

- **One actor is one process life**, from the choice of a port to the end of the last process it started, and every life
  ends with exactly one \`process.ended\`. So no late exit of an old process can be taken for one of the new.
- **A server and an agent are made of the same states** (\`life-states.ts\`): they differ in the way to the first proof, in
  what else they carry, and in nothing about restarts, health and stops.
- **A server that others run is a chart of its own, \`external\`**: it has no process, no backoff and no ladder, and goes from
  \`unhealthy\` to \`failed\`. What it shares with a server of ours are \`idle\`, \`unhealthy\` and the streams.
- **The rungs of the recovery ladder are states of \`recovering\`**, and each has an actor. \`judging\` asks one policy
  (\`recovery-ladder.ts\`) which is next: the class of the failure says which can help, and each but the restart is taken
  once until the server has worked for a while, somebody asks, or there is another configuration. A rung that changed the
  configuration and did not help is taken back in \`restoringConfig\` before the backend is given up.
- **A ladder that begins at the configuration writes down what it found first**, in the actor of that rung: evidence that the
  rung is about to change. The rung \`capture-diagnostics\` itself is one of the answers to a crash.
- **A new configuration is a state, \`healthy.draining\`**, where the server cannot take it over: the turns that run may
  finish, and the next ones wait. That it is wanted is remembered through failed checks.
- **A backend of agents is a chart of its own, a pool**, so that the root starts, routes and stops backends of both kinds alike.
- **\`recovering\` stays until the server works again.** Its \`restarting\` has the same substates as \`starting\`. A start that
  fails goes through \`recovering\` too: first the process is ended, then the failure is judged and told.
- **The busy grace is a timer of the state \`unhealthy.graced\`**, not a timestamp that is compared at each check: it ends
  when it ends, and leaving the state (the turn is over, a check passes) forgets it.
- **A clean end of a stream is no failure** once its first event came; before that it is one. A connection that delivered
  more than its greeting starts the count of failures again.
- **The stream asks what was missed after every loss, before it waits**, and again after every connect, before events flow.
- **A cancel between sending a prompt and its acceptance waits in \`sending.withdrawn\`** for the answer: only then is it known
  whether there is anything to cancel.
- **Readers of a turn, its text and its evidence are not in the chart.** The chart sees the first sign of work, an
  assessment, and edges of the connection: no machine event per streamed delta.
`;

/** The whole page. */
export function machinesReadme(): string {
  const charts = {
    supervisor: supervisorMachine,
    server: serverMachine,
    external: externalMachine,
    pool: poolMachine,
    agent: agentMachine,
    stream: streamMachine,
    turn: turnMachine,
    health: healthMachine,
    backoff: backoffMachine,
    group: groupMachine,
  };
  return [INTRODUCTION, ...Object.entries(charts).map(([name, machine]) => renderChart(name, machine))].join('\n');
}
