import { describe, expect, it } from 'vitest';
import { Transcript } from '../../../adapters/acp/transcript.ts';

const MEBI = 1024 * 1024;
const chunk = (text: string, more: object = {}) => ({
  sessionUpdate: 'agent_message_chunk',
  content: { type: 'text', text },
  ...more,
});

describe('the transcript of a session', () => {
  it('has a bound, for many messages and for one', () => {
    const many = new Transcript();
    for (let count = 0; count < 8; count += 1) {
      many.asked('x');
      many.heard(chunk('y'.repeat(MEBI)), false);
    }
    const lengths = many.messages.map(({ text }) => text.length);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(2 * MEBI + 16);
    const one = new Transcript();
    for (let count = 0; count < 64; count += 1) one.heard(chunk(`${count} `.repeat(MEBI / 8)), false);
    const [only] = one.messages;
    expect([one.messages.length, only?.text.endsWith('63 '), (only?.text.length ?? 0) <= 4 * MEBI]).toEqual([
      1,
      true,
      true,
    ]);
  });

  it('takes chunks that have one id as one message, whatever comes between them', () => {
    const transcript = new Transcript();
    transcript.heard(chunk('a', { messageId: 'm' }), false);
    transcript.heard({ sessionUpdate: 'tool_call' }, false);
    transcript.heard(chunk('b', { messageId: 'm' }), false);
    expect(transcript.messages).toMatchObject([{ id: 'm', text: 'ab' }]);
  });

  it('takes nothing for a message that only has the name of something', () => {
    const transcript = new Transcript();
    transcript.heard({ ...chunk('x'), sessionUpdate: 'constructor' }, false);
    expect(transcript.messages).toEqual([]);
  });
});
