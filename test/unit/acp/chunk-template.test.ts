import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Chunk, ChunkTemplate } from '../../../adapters/acp/chunk-template.ts';

const chunk = (said: string, more: object = {}) => ({
  jsonrpc: '2.0',
  method: 'session/update',
  params: {
    sessionId: 's',
    update: { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text: said }, ...more },
  },
});

const chunkOf = (line: string): Chunk => (JSON.parse(line) as { params: Chunk }).params;

/** What the template reads of each line, where it reads it; it has learned those before. */
function readAll(lines: readonly string[]): { line: string; read: unknown }[] {
  const template = new ChunkTemplate();
  return lines.map((line) => {
    const read = template.read(line);
    if (!read) template.learn(line, chunkOf(line));
    return { line, read };
  });
}

describe('the template of a chunk', () => {
  it('reads a line that differs from the last in its text alone, as JSON.parse would', () => {
    const [, second] = readAll([JSON.stringify(chunk('one')), JSON.stringify(chunk('two, ünd €'))]);
    expect(second?.read).toEqual(chunk('two, ünd €').params);
  });

  it('never reads anything else than JSON.parse would', () => {
    const said = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 8 }),
      fc.constantFrom('"', '\\', '\n', '","text":"', '"}}}}', '', 'text', '"content":{"type":"text","text":"x'),
    );
    const more = fc.oneof(
      fc.constant({}),
      fc.record({ messageId: said }),
      fc.record({ _meta: fc.record({ content: fc.record({ type: fc.constant('text'), text: said }) }) }),
      fc.record({ content: said }),
      fc.record({ sessionUpdate: fc.constantFrom('agent_thought_chunk', 'plan') }),
    );
    let read = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(said, more), { maxLength: 12 }), (parts) => {
        for (const result of readAll(parts.map(([text, extra]) => JSON.stringify(chunk(text, extra))))) {
          if (!result.read) continue;
          read += 1;
          expect(result.read).toEqual(chunkOf(result.line));
        }
      }),
      { numRuns: 1_000 },
    );
    expect(read).toBeGreaterThan(100); // It was tried at all.
  });

  it('leaves a line alone in which the text could be another one', () => {
    const doubled = JSON.stringify(chunk('one', { _meta: { content: { type: 'text', text: 'one' } } }));
    expect(readAll([doubled, doubled.replaceAll('one', 'two')])[1]?.read).toBeUndefined();
  });

  it('leaves a line alone that is no JSON', () => {
    const line = JSON.stringify(chunk('one'));
    const template = new ChunkTemplate();
    template.learn(line, chunkOf(line));
    for (const broken of [line.replace('one', 'a"b'), line.replace('one', 'a\\'), line.replace('one', 'a\tb'), ''])
      expect(template.read(broken)).toBeUndefined();
  });
});
