import { describe, expect, it } from 'vitest';
import type { Session } from '../../index.ts';
import { scriptedAgents } from '../fixtures/scripted-agent.ts';

const { start } = scriptedAgents();
const said = async (session: Session, prompt: string, options = {}) =>
  (await session.prompt(prompt, options).result).text;

describe('the model of an agent’s session', () => {
  it('is set when it is opened, by a call, and for one prompt', async () => {
    const { open, handle } = start();
    const session = await open('chat-1', { model: 'large' });
    expect(session.status().model).toBe('large');
    expect(session.choices().models).toMatchObject([{ id: 'small' }, { id: 'large' }]);
    expect(await said(session, '[[model]]')).toBe('large');
    await handle.restart();
    expect(await said(session, '[[model]]')).toBe('large');
    await session.setModel('small');
    expect(await said(session, '[[model]]')).toBe('small');
    expect(await said(session, '[[model]]', { model: 'large' })).toBe('large');
    expect(await said(session, '[[model]]')).toBe('small');
  });

  it('goes back after one prompt to what it was by itself', async () => {
    const { open } = start();
    const session = await open();
    expect(await said(session, '[[model]]', { model: 'large' })).toBe('large');
    expect(await said(session, '[[model]]', { model: 'large' })).toBe('large');
    expect(await said(session, '[[model]]')).toBe('small');
  });

  it('is refused where there is none of the name, or none to choose', async () => {
    const { open } = start();
    const refusal = { code: 'ERR_INVALID_OPTION', message: expect.stringContaining('one of small, large') as string };
    await expect(open('chat-1', { model: 'huge' })).rejects.toMatchObject(refusal);
    const session = await open();
    await expect(session.setModel('huge')).rejects.toMatchObject(refusal);
    const { open: plain } = start({ flags: ['has-no-options'] });
    const without = await plain();
    expect(without.capabilities.setModel).toBe(false);
    await expect(without.setModel('small')).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' });
    await expect(without.setMode('auto')).resolves.toBeUndefined();
  });
});

describe('the mode of an agent that has it among its options', () => {
  it('is shown and set all the same', async () => {
    const { open } = start({ flags: ['has-its-modes-among-its-options'] });
    const session = await open('chat-1', { mode: 'auto' });
    expect(session.status().mode).toBe('auto');
    expect(session.choices().modes).toMatchObject([{ id: 'ask' }, { id: 'auto' }]);
    expect(await said(session, '[[asked]]')).toBe('auto');
    await session.setMode('ask');
    expect(await said(session, '[[asked]]')).toBe('ask');
    await expect(session.setMode('yolo')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  });
});

describe('a mode that never asks', () => {
  it('is shown as soon as it is set, and one that asks, too', async () => {
    const { open } = start();
    const session = await open();
    await session.setMode('auto');
    expect([session.status().mode, await said(session, '[[current]]')]).toEqual(['auto', 'auto']);
    await session.setMode('ask');
    expect([session.status().mode, await said(session, '[[current]]')]).toEqual(['ask', 'ask']);
    await session.close();
    await expect(session.setMode('auto')).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' });
  });

  it('is not what a session is left in that asked for another one, after a restart that says nothing of it', async () => {
    const { open, handle } = start({ flags: ['runs-free', 'forgets-its-mode'] });
    const session = await open('chat-1', { mode: 'ask' });
    await session.prompt('[[say one]]').result;
    await handle.restart();
    expect(await said(session, '[[current]]')).toBe('ask');
  });

  it('runs no prompt that did not ask for it, where the way back is refused', async () => {
    const { open } = start({ flags: ['refuses-ask'] });
    const session = await open();
    expect(await said(session, '[[current]]', { mode: 'auto' })).toBe('auto');
    for (const prompt of ['[[say second]]', '[[say third]]'])
      expect(await session.prompt(prompt).result).toMatchObject({ outcome: 'failed', text: '' });
  });

  it('that is never taken ends its turn at the deadline', async () => {
    const { open } = start({ flags: ['never-changes'], supervisor: { turn: { cancelTimeoutMs: 900 } } });
    const session = await open();
    expect(await session.prompt('[[say x]]', { mode: 'auto', deadlineMs: 300 }).result).toMatchObject({
      outcome: 'failed',
      error: { code: 'ERR_TURN_DEADLINE' },
    });
  });
});
