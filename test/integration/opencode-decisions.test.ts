import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AgentEvent } from '../../index.ts';
import { bash, runningOpencode } from '../fixtures/running-opencode.ts';
import { eventsOf } from '../fixtures/scripted-agent.ts';

const running = runningOpencode();

describe('decisions on a real opencode server', () => {
  it('let the agent do what was allowed', async () => {
    const directory = running.world.directory();
    const session = await running.open(directory);
    running.decide = () => ({ outcome: 'allow_once' });
    const turn = session.prompt(`${bash('touch allowed.txt')}[[say done]]`);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'done' });
    expect(existsSync(join(directory, 'allowed.txt'))).toBe(true);
  });

  it('end the turn as rejected where they reject, and nothing is done', async () => {
    const directory = running.world.directory();
    const session = await running.open(directory);
    running.decide = () => ({ outcome: 'reject_once' });
    const turn = session.prompt(`${bash('touch rejected.txt')}[[say done]]`);
    expect(await turn.result).toMatchObject({ outcome: 'completed', stopReason: 'rejected' });
    expect(existsSync(join(directory, 'rejected.txt'))).toBe(false);
    expect(await session.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
  });

  it('can be made later, by decide()', async () => {
    const directory = running.world.directory();
    const session = await running.open(directory);
    running.decide = () => undefined;
    const turn = session.prompt(`${bash('touch later.txt')}[[say done]]`);
    for await (const event of turn) {
      if (event.type !== 'permission' || event.decision) continue;
      expect(running.supervisor.pendingDecisions().map(({ id }) => id)).toEqual([event.request.id]);
      expect(event.request).toMatchObject({ permission: 'bash', patterns: ['touch later.txt'], directory });
      expect(running.supervisor.decide(event.request.id, { outcome: 'allow_once' })).toBe(true);
    }
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'done' });
    expect(existsSync(join(directory, 'later.txt'))).toBe(true);
  });

  it('answer the agent’s questions', async () => {
    const session = await running.open();
    const questions = [
      {
        question: 'Which colour?',
        header: 'Colour',
        options: [
          { label: 'Red', description: 'r' },
          { label: 'Blue', description: 'b' },
        ],
      },
    ];
    const turn = session.prompt(`[[tool question ${JSON.stringify({ questions })}]][[say thanks]]`);
    const events = await eventsOf(turn);
    expect(await turn.result).toMatchObject({ outcome: 'completed', text: 'thanks' });
    expect(events.filter((event) => event.type === 'question').map((event) => event.answer)).toEqual([
      undefined,
      { action: 'accept', answers: [['Blue']] },
    ]);
  });

  it('that are open when the turn is cancelled leave nothing pending', async () => {
    const session = await running.open();
    running.decide = () => undefined;
    const turn = session.prompt(`${bash('touch never.txt')}[[say done]]`);
    for await (const event of turn) if (event.type === 'permission') break;
    await turn.cancel();
    expect([await turn.result, running.supervisor.pendingDecisions()]).toMatchObject([{ outcome: 'cancelled' }, []]);
    expect(await session.prompt('[[say next]]').result).toMatchObject({ outcome: 'completed', text: 'next' });
  });
});

describe('a cancel on a real opencode server', () => {
  it.each<[string, string, (event: AgentEvent) => boolean]>([
    ['while the answer streams', '[[words 500 every 20]]', ({ type }) => type === 'text'],
    ['while a tool runs', bash('sleep 30'), (event) => event.type === 'tool' && event.tool.status === 'running'],
    ['while the model is silent', '[[say One moment.]][[stall]]', ({ type }) => type === 'text'],
    ['while the model’s request is repeated', '[[status 500]]', ({ type }) => type === 'retry'],
  ])('%s ends the turn, and the next turn is unharmed', async (_, prompt, isMoment) => {
    const session = await running.open();
    const turn = session.prompt(prompt);
    for await (const event of turn) if (isMoment(event)) break;
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await session.prompt('[[say unharmed]]').result).toMatchObject({ outcome: 'completed', text: 'unharmed' });
    expect(running.world.model.openRequests).toBe(0);
  });

  it('right behind the first prompt in a cold directory takes, though the server does not hear it at first', async () => {
    const session = await running.open();
    const turn = session.prompt('[[words 500 every 20]]');
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect(await session.prompt('[[say unharmed]]').result).toMatchObject({ outcome: 'completed', text: 'unharmed' });
  });
});
