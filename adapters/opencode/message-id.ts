import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_LENGTH = 14;

let lastMs = 0;
let counter = 0;

/**
 * A message id of our own, in the server's form and order: 48 bits of time and a counter, then randomness. Unique over
 * all sessions, since the same id in two sessions breaks both.
 */
export function nextMessageId(nowMs: number): string {
  counter = nowMs === lastMs ? counter + 1 : 1;
  lastMs = nowMs;
  const time = (BigInt(Math.trunc(nowMs)) * 4096n + BigInt(counter)) & 0xffffffffffffn;
  const random = [...randomBytes(RANDOM_LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
  return `msg_${time.toString(16).padStart(12, '0')}${random}`;
}
