import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SupervisorError, toFailure } from '../../actors/errors.ts';
import { classifyFailure } from '../../machines/policies/failure-class.ts';

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('It did not throw.');
}

describe('what was thrown', () => {
  it('by the system keeps the system’s own code, which tells whether to try again', () => {
    const failure = toFailure(
      thrownBy(() => readdirSync('/nowhere/at/all')),
      'ERR_SPAWN_FAILED',
    );
    expect(failure).toMatchObject({ code: 'ERR_SPAWN_FAILED', reason: 'ENOENT' });
    expect(classifyFailure(failure)).toBe('permanent');
    const short = toFailure(Object.assign(new Error('too many open files'), { code: 'EMFILE' }), 'ERR_SPAWN_FAILED');
    expect(classifyFailure(short)).toBe('transient');
  });

  it('by this library stays what it was', () => {
    const error = new SupervisorError('ERR_BACKEND_EXITED', 'It is gone.', { reason: 'unreachable' });
    expect(toFailure(error)).toEqual({ code: 'ERR_BACKEND_EXITED', message: 'It is gone.', reason: 'unreachable' });
  });

  it('by anybody else is a defect, whatever it is', () => {
    expect(toFailure('oops')).toEqual({ code: 'ERR_INTERNAL', message: 'oops' });
    expect(toFailure(new Error('outer', { cause: new Error('inner') }))).toEqual({
      code: 'ERR_INTERNAL',
      message: 'outer: inner',
    });
  });
});
