import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSupervisor, type Supervisor, type SupervisorEvents } from '../../index.ts';
import { isAlive } from '../fixtures/leftovers.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';
import { bash } from '../fixtures/running-opencode.ts';
import { until } from '../fixtures/until.ts';

const health = { intervalMs: 300, timeoutMs: 1_500, failureThreshold: 3, busyGraceMs: 6_000 };

let world: OpencodeWorld;
let supervisor: Supervisor;
let transitions: SupervisorEvents['transition'][];

beforeEach(async () => {
  world = await OpencodeWorld.create();
  supervisor = createSupervisor({ backends: { code: world.backend({ health, stopGraceMs: 500 }) } });
  transitions = [];
  supervisor.on('transition', (event) => event.id === 'code' && transitions.push(event));
  await supervisor.backend('code').start();
});
afterEach(async () => {
  await supervisor.stop();
  await world.remove();
});

const status = () => supervisor.status().backends['code'];
const changes = () => transitions.map(({ from, to }) => `${from} → ${to}`);
const freeze = async (): Promise<number> => {
  await until('it is healthy', () => status()?.state === 'healthy', 10_000);
  transitions.length = 0;
  const pid = status()?.pid ?? 0;
  process.kill(pid, 'SIGSTOP');
  return pid;
};

async function busySession() {
  const session = await supervisor.openSession({ backend: 'code', directory: world.directory() });
  let settlements = 0;
  supervisor.on('turn', ({ type }) => void (type === 'settled' && (settlements += 1)));
  const turn = session.prompt(`${bash('sleep 4')} [[say slept]]`);
  for await (const event of turn) if (event.type === 'tool' && event.tool.status === 'running') break;
  return { session, turn, settlements: () => settlements };
}

describe('a server that is frozen (SIGSTOP)', () => {
  it('while it is idle is replaced after the threshold of failed checks', async () => {
    const pid = await freeze();
    await until('it is replaced', () => status()?.state === 'healthy' && status()?.pid !== pid, 30_000);
    expect(changes()).toEqual(['healthy → unhealthy', 'unhealthy → recovering', 'recovering → healthy']);
    expect(transitions[1]?.reason).toContain('failed 3 checks in a row');
    expect([isAlive(pid), status()?.restarts]).toEqual([false, 1]);
  });

  it('in a busy turn is kept through the grace, then replaced, and the turn is settled once', async () => {
    const { session, turn, settlements } = await busySession();
    const at = performance.now();
    const pid = await freeze();
    await until('the grace is over', () => status()?.state === 'recovering', 30_000);
    expect(performance.now() - at).toBeGreaterThan(health.busyGraceMs);
    expect(transitions.at(-1)?.reason).toContain('failed 6000 ms of checks');
    expect((await turn.result).outcome).toBe('indeterminate');
    expect([settlements(), isAlive(pid), status()?.restarts]).toEqual([1, false, 1]);
    expect(await session.prompt('[[say on]]').result).toMatchObject({ outcome: 'completed', text: 'on' });
  });

  it('and thawed within the grace goes on as if nothing had happened', async () => {
    const { turn, settlements } = await busySession();
    const pid = await freeze();
    await until('checks fail', () => status()?.state === 'unhealthy', 10_000);
    await until('more checks fail than an idle server may', () => (status()?.consecutiveFailures ?? 0) > 3, 10_000);
    process.kill(pid, 'SIGCONT');
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'slept' });
    expect([settlements(), status()?.state, status()?.pid, status()?.restarts]).toEqual([1, 'healthy', pid, 0]);
  });
});
