import { describe, expect, it } from 'vitest';
import type { QuestionAnswer, QuestionRequest } from '../../index.ts';
import { eventsOf, scriptedAgents } from '../fixtures/scripted-agent.ts';

const { start } = scriptedAgents();

const form = {
  properties: {
    color: { type: 'string', title: 'Color', oneOf: [{ const: 'r', title: 'Red' }, { const: 'b', title: 'Blue' }] }, // prettier-ignore
    size: { type: 'integer', description: 'In rows' },
    sides: { type: 'array', items: { type: 'string', enum: ['left', 'right'] } },
    sure: { type: 'boolean' },
    note: { type: 'string' },
  },
  required: ['color', 'size'],
};
const elicit = (fields: object = form) => `[[elicit ${JSON.stringify(fields)}]]`;
const accept = (...answers: string[][]): QuestionAnswer => ({ action: 'accept', answers });

describe('a question of an agent', () => {
  it('reaches the host as one question for each field, and its answers are what the fields want', async () => {
    const asked: QuestionRequest[] = [];
    const { open } = start({
      supervisor: {
        onQuestion: (request) => {
          asked.push(request);
          return accept(['Blue'], ['3'], ['left', 'right'], ['No'], []);
        },
      },
    });
    const session = await open();
    const result = await session.prompt(elicit()).result;
    expect(result.text).toBe('accept {"color":"b","size":3,"sides":["left","right"],"sure":false}');
    expect(asked[0]?.questions).toEqual([
      { question: 'Please tell', header: 'Color', options: [{ label: 'Red' }, { label: 'Blue' }] },
      { question: 'In rows', header: 'size', options: [], custom: true },
      {
        question: 'sides',
        header: 'sides (optional)',
        options: [{ label: 'left' }, { label: 'right' }],
        multiple: true,
      },
      { question: 'sure', header: 'sure (optional)', options: [{ label: 'Yes' }, { label: 'No' }] },
      { question: 'note', header: 'note (optional)', options: [], custom: true },
    ]);
  });

  it.each<[string, QuestionAnswer | 'nobody', string]>([
    ['declined where nobody handles it', 'nobody', 'decline null'],
    ['declined where the host declines', { action: 'decline' }, 'decline null'],
    ['cancelled where the host cancels', { action: 'cancel' }, 'cancel null'],
    ['declined where a choice is none of the offered', accept(['Green'], ['3'], [], [], []), 'decline null'],
    ['declined where a number is none', accept(['Red'], ['three'], [], [], []), 'decline null'],
    ['declined where a required answer is missing', accept([], ['3'], [], [], []), 'decline null'],
  ])('is %s', async (_, answer, said) => {
    const { open } = start({ supervisor: answer === 'nobody' ? {} : { onQuestion: () => answer } });
    const session = await open();
    expect((await session.prompt(elicit()).result).text).toBe(said);
  });

  it('without a field is one to agree to', async () => {
    const { open } = start({ supervisor: { onQuestion: () => accept(['Yes']) } });
    const session = await open();
    expect((await session.prompt(elicit({ properties: {} })).result).text).toBe('accept {}');
  });

  it('is cancelled with its turn, and nothing waits any more', async () => {
    const { open, supervisor } = start({ supervisor: { onQuestion: () => undefined } });
    const session = await open();
    const turn = session.prompt(elicit());
    const events = eventsOf(turn);
    for await (const event of turn) if (event.type === 'question') break;
    await turn.cancel();
    expect(await turn.result).toMatchObject({ outcome: 'cancelled' });
    expect([supervisor.pendingDecisions(), (await events).at(-1)]).toMatchObject([[], { type: 'text' }]);
  });
});
