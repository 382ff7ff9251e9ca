import { describe, expect, it } from 'vitest';
import { extractAssistantText } from '../../index.ts';

describe('the last text of the assistant', () => {
  it('is that of the last message, whatever was said before and after by others', () => {
    const messages = [
      { id: '1', role: 'user', text: 'ask' },
      { id: '2', role: 'assistant', text: 'first' },
      { id: '3', role: 'assistant', text: 'second' },
      { id: '4', role: 'user', text: 'thanks' },
    ];
    expect(extractAssistantText(messages)).toBe('second');
  });

  it('is read from the text parts of what an opencode client lists', () => {
    const parts = [
      { type: 'step-start' },
      { type: 'text', text: 'one ' },
      { type: 'tool', tool: 'bash' },
      { type: 'text', text: 'two' },
    ];
    expect(extractAssistantText([{ info: { role: 'assistant' }, parts }])).toBe('one two');
  });

  it.each<[string, readonly unknown[]]>([
    ['there is no message', []],
    ['nobody answered', [{ role: 'user', text: 'ask' }]],
    [
      'the last answer is white space',
      [
        { role: 'assistant', text: 'before' },
        { role: 'assistant', text: ' \n' },
      ],
    ],
    ['the last answer has no text', [{ info: { role: 'assistant' }, parts: [{ type: 'tool' }] }]],
    ['the messages are nonsense', [null, 5, { info: 'x', parts: 'y' }]],
  ])('is nothing where %s', (_, messages) => {
    expect(extractAssistantText(messages)).toBeUndefined();
  });
});
