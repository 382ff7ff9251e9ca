import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSession, encodeSession } from '../../../adapters/store/session-row.ts';
import type { StoredSession, StoredTurn } from '../../../index.ts';
import { derivedSession } from '../../fixtures/derived-session.ts';

const texts = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
const times = fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
const turns: fc.Arbitrary<StoredTurn> = fc.record(
  { id: fc.string({ unit: 'binary' }), messageId: texts, startedAt: times },
  { requiredKeys: ['id', 'startedAt'] },
);
/** Every session that a store must keep. */
const sessions: fc.Arbitrary<StoredSession> = fc.record(
  {
    backend: texts,
    chatId: texts,
    agentSessionId: texts,
    directory: texts,
    status: fc.constantFrom('active', 'idle', 'crashed', 'closed'),
    lastActiveAt: times,
    generation: fc.maxSafeNat(),
    hasHistory: fc.boolean(),
    turn: turns,
  },
  {
    requiredKeys: [
      'backend',
      'chatId',
      'agentSessionId',
      'directory',
      'status',
      'lastActiveAt',
      'generation',
      'hasHistory',
    ],
  },
);

describe('a session and its row', () => {
  it('say the same', () => {
    fc.assert(
      fc.property(sessions, (session) => {
        expect(decodeSession(encodeSession(session))).toEqual(session);
      }),
    );
  });

  it('part where the row holds anything else: it gives no session, and never throws', () => {
    const row = encodeSession(derivedSession(1));
    const columns = fc.constantFrom(...Object.keys(row));
    fc.assert(
      fc.property(columns, fc.anything(), (column, value) => {
        const session = decodeSession({ ...row, [column]: value });
        if (session) expect(encodeSession(session)).toEqual({ ...row, [column]: value });
      }),
    );
    expect([undefined, null, 1, 'x', [], {}].map(decodeSession)).toEqual(Array(6).fill(undefined));
  });

  it.each([
    ['a status that is none', { status: 'asleep' }],
    ['a time that is none', { last_active_at: 'yesterday' }],
    ['a fraction of a generation', { generation: 1.5 }],
    ['a number for a text', { directory: 1 }],
    ['a history that is neither', { has_history: 2 }],
    ['a turn that is no JSON', { turn: '{' }],
    ['a turn without its parts', { turn: '{}' }],
    ['a text that SQLite would cut off', { chat_id: 'a\0b' }],
    ['half a character', { chat_id: 'a\ud800' }],
  ])('part for %s', (_, change) => {
    expect(decodeSession({ ...encodeSession(derivedSession(1)), ...change })).toBeUndefined();
  });
});
