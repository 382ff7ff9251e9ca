import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { waitFor, whenAborted, withLimit } from '../../actors/clock-loop.ts';
import { VirtualClock } from '../fixtures/virtual-clock.ts';

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

it('has one listener on a signal, however many wait for it, and none when nobody does', async () => {
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  const waits = Array.from({ length: 50 }, (_, index) => waitFor(clock, index, signal));
  const works = waits.map((wait) => withLimit(clock, 1_000, signal, () => wait));
  expect(listeners(signal)).toBe(1);
  await clock.advance(100);
  await Promise.all(works);
  expect([listeners(signal), clock.pending]).toEqual([0, []]);
});

it('tells all who wait for a signal when it aborts, and nobody who has ceased to', () => {
  const over = new AbortController();
  const told: string[] = [];
  whenAborted(over.signal, () => told.push('one'));
  whenAborted(over.signal, () => told.push('two'))();
  const forget = whenAborted(over.signal, () => told.push('three'));
  over.abort();
  forget();
  expect(told).toEqual(['one', 'three']);
});
