import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSupervisor } from '../../index.ts';
import { OpencodeWorld } from '../fixtures/opencode-world.ts';

let world: OpencodeWorld;
const create = () => createSupervisor({ backends: { code: world.backend() } });
let supervisor: ReturnType<typeof create>;

beforeAll(async () => {
  world = await OpencodeWorld.create();
  supervisor = create();
});
afterAll(async () => {
  await supervisor.stop();
  await world.remove();
});

const open = () => supervisor.openSession({ backend: 'code', directory: world.directory(), title: 'A title' });
const full = '[[usage 98000]]';
const bash = '[[tool bash {"command":"echo hi","description":"a command"}]]';
/** What the server asks of the model in its own name when the summary is made, and what the scripted model makes of it. */
const continued = expect.stringMatching(/^You said: Continue if you have next steps/) as string;

describe('a turn in which a real opencode server compacts the session', () => {
  it('goes on after the summary, and its last answer is its end', async () => {
    const session = await open();
    const result = await session.prompt(`${full}${bash}`).result;
    expect(result).toMatchObject({ outcome: 'completed', stopReason: 'end_turn', text: continued });
    expect(result.usage).toMatchObject({ outputTokens: 15 }); // The tool's step, the summary, and the last answer.
  });

  it('is not over when an answer is complete, but the server goes on by itself', async () => {
    const session = await open();
    const { outcome, text } = await session.prompt(`${full}[[say Big. ]]`).result;
    expect(outcome).toBe('completed');
    expect(text.replace(/^Big\. /, '')).toEqual(continued);
    expect(await session.prompt('[[say And the next.]]').result).toMatchObject({ text: 'And the next.' });
  });

  it('is done where its own prompt is repeated after the summary, since it did not fit before', async () => {
    const session = await open();
    await session.prompt('[[say Something to sum up.]]').result;
    const result = await session.prompt('[[overflow once]][[say Now it fits.]]').result;
    expect(result).toMatchObject({ outcome: 'completed', text: 'Now it fits.' });
  });
});
