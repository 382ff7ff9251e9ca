import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { acp } from '../../adapters/acp/index.ts';
import { RUN_VARIABLE } from '../../adapters/process/run-identity.ts';
import { createSupervisor, type Supervisor } from '../../index.ts';
import { bash } from '../fixtures/running-opencode.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

let world: OpencodeWorld;
const supervisors: Supervisor[] = [];

beforeAll(async () => (world = await OpencodeWorld.create()));
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const supervisor of supervisors.splice(0)) await supervisor.stop();
});
afterAll(() => world.remove());

function supervise(options: { allowNested?: boolean; nested?: boolean } = {}) {
  const { nested, ...rest } = options;
  const supervisor = createSupervisor({
    backends: {
      code: world.backend(nested === undefined ? {} : { nested }),
      agent: acp({ command: process.execPath, args: ['--eval', 'process.exit(3)'] }),
    },
    ...rest,
  });
  supervisors.push(supervisor);
  return supervisor;
}

/** As in a process that a supervised agent started. */
const beChild = () => vi.stubEnv(RUN_VARIABLE, 'some-run:1');

describe('a supervisor inside of a supervised agent', () => {
  it('refuses to start anything, with a typed error, and before it tries twice', async () => {
    beChild();
    const supervisor = supervise();
    const transitions: string[] = [];
    supervisor.on('transition', ({ to }) => void transitions.push(to));
    const { state, lastError, pid } = await supervisor.backend('code').start();
    expect([state, lastError?.code, pid]).toEqual(['failed', 'ERR_NESTED_SUPERVISION', undefined]);
    expect(lastError?.message).toContain('allowNested: true');
    expect(transitions).toEqual(['starting', 'recovering', 'failed']);
    const opening = supervisor.openSession({ backend: 'agent', directory: world.directory() });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_NESTED_SUPERVISION' });
  });

  it('refuses also where the host says that it is inside of one', async () => {
    expect((await supervise({ nested: true }).backend('code').start()).lastError?.code).toBe('ERR_NESTED_SUPERVISION');
  });

  it('goes on with what runs already: only a start is refused', async () => {
    const supervisor = supervise();
    const lease = await supervisor.backend('code').acquire();
    beChild();
    expect(await supervisor.backend('code').acquire()).toBe(lease);
    expect((await supervisor.backend('code').restart()).lastError?.code).toBe('ERR_NESTED_SUPERVISION');
  });

  it('starts where that is allowed, and its children do not carry the mark of other supervisors', async () => {
    beChild();
    vi.stubEnv('OPENCODE_ORCHESTRATOR_MANAGED', '1');
    const supervisor = supervise({ allowNested: true });
    expect(await managedMark(supervisor)).toBe('unmanaged');
  });

  it('marks its own children, for supervisors of other makes', async () => {
    expect(await managedMark(supervise())).toBe('managed 1');
  });
});

async function managedMark(supervisor: ReturnType<typeof supervise>): Promise<string> {
  const session = await supervisor.openSession({ backend: 'code', directory: world.directory() });
  const command = 'echo "${OPENCODE_ORCHESTRATOR_MANAGED+managed $OPENCODE_ORCHESTRATOR_MANAGED}"';
  let output = '';
  for await (const event of session.prompt(`${bash(command)} [[say done]]`))
    if (event.type === 'tool' && event.tool.status === 'completed') output = event.tool.output ?? '';
  return output.trim() || 'unmanaged';
}
