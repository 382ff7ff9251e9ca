import { describe, expect, it } from 'vitest';
import { scriptedAgents } from '../fixtures/scripted-agent.ts';

const { start } = scriptedAgents();

describe('what an agent asks for', () => {
  it.each<[string, 'allow_once' | 'allow_always' | 'reject_once', string]>([
    ['reject_once allow_always allow_once', 'allow_once', 'the-allow_once'],
    ['allow_once reject_once', 'allow_always', 'the-allow_once'],
    ['allow_always reject_always', 'allow_once', 'cancelled'],
    ['allow_once reject_always', 'reject_once', 'the-reject_always'],
  ])('is answered by kind: of %s, %s selects %s', async (offered, outcome, selected) => {
    const { open } = start({ supervisor: { onPermission: () => ({ outcome }) } });
    const session = await open();
    expect((await session.prompt(`[[ask ${offered}]]`).result).text).toBe(selected);
  });

  it('is rejected where nobody handles it', async () => {
    const { open } = start();
    const session = await open();
    expect((await session.prompt('[[ask allow_once reject_once]]').result).text).toBe('the-reject_once');
  });
});
