import { describe, expect, it } from 'vitest';
import { running, texts } from '../../fixtures/translated-turn.ts';

describe('a session that is compacted in the middle of a turn', () => {
  const compacting = () => {
    const turn = running('ses_1', 'msg_1');
    const user = (id: string) => turn.message(id, { role: 'user', parentID: undefined });
    const compaction = (messageID: string, auto: boolean) =>
      turn.say('message.part.updated', {
        part: { id: `prt_${messageID}`, messageID, sessionID: 'ses_1', type: 'compaction', auto },
      });
    const answer = (id: string, parentID: string, fields: object = {}) => {
      turn.message(id, { parentID });
      turn.textPart(`prt_${id}`, id, `text of ${id}`, 2);
      turn.message(id, { parentID, finish: 'stop', time: { completed: 3 }, ...fields });
    };
    user('msg_1');
    answer('msg_2', 'msg_1');
    return { ...turn, user, compaction, answer };
  };
  const summary = { summary: true };

  it('goes on under the message that the server puts in the place of the prompt; the summary is told to nobody', () => {
    const { sink, user, compaction, message, textPart, answer } = compacting();
    user('msg_3');
    compaction('msg_3', true);
    message('msg_4', { parentID: 'msg_3', ...summary });
    textPart('prt_4', 'msg_4', 'The summary', 2);
    message('msg_4', { parentID: 'msg_3', ...summary, finish: 'stop', time: { completed: 3 } });
    user('msg_5');
    answer('msg_6', 'msg_5');
    expect(texts(sink)).toEqual(['text of msg_2', 'text of msg_6']);
    expect(sink.facts.map(({ kind }) => kind)).toEqual([
      'step-began',
      'step-ended',
      'step-began', // The summary, which ends nothing.
      'step-began',
      'step-ended',
    ]);
  });

  it('has failed where the summary could not be made', () => {
    const { sink, user, compaction, message } = compacting();
    user('msg_3');
    compaction('msg_3', true);
    message('msg_4', { parentID: 'msg_3', ...summary, error: { name: 'ContextOverflowError' } });
    expect(sink.facts.at(-1)).toMatchObject({ kind: 'errored', failure: { reason: 'ContextOverflowError' } });
  });

  it.each<[string, (world: ReturnType<typeof compacting>) => void]>([
    ['a prompt of somebody else', ({ user }) => user('msg_7')],
    [
      'a prompt of somebody else that comes before the summary is there',
      ({ user, compaction }) => {
        user('msg_3');
        compaction('msg_3', true);
        user('msg_7');
      },
    ],
    [
      'a compaction that somebody asked for',
      ({ user, compaction }) => {
        user('msg_7');
        compaction('msg_7', false);
      },
    ],
    [
      'a compaction of an earlier turn',
      ({ user, compaction }) => {
        user('msg_0');
        compaction('msg_0', true);
      },
    ],
  ])('does not take %s for its own', (_, happens) => {
    const world = compacting();
    happens(world);
    world.answer('msg_8', 'msg_7');
    world.answer('msg_9', 'msg_0');
    expect(texts(world.sink)).toEqual(['text of msg_2']);
  });
});
