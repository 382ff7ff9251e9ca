import { describe, expect, it } from 'vitest';
import {
  admitRestart,
  assess,
  backoffDelay,
  classifyFailure,
  type Evidence,
  healthVerdict,
  NO_EVIDENCE,
  recordFact,
  restartDelay,
  type RestartPolicy,
  retryDecision,
  stallLimit,
  type TurnFact,
  withJitter,
} from '../../../machines/index.ts';

const reconnect = { baseMs: 1_000, maxMs: 30_000, factor: 2, jitter: 'none', maxAttempts: 6 } as const;
const restart: RestartPolicy = {
  when: 'always',
  maxRestarts: 3,
  windowMs: 10_000,
  backoff: { baseMs: 500, maxMs: 30_000, factor: 2, jitter: 'none' },
  resetAfterMs: 60_000,
};

describe('the backoff', () => {
  it('of a stream waits 1, 2, 4, 8, 16 and 30 seconds, and gives up at the seventh failure', () => {
    const decisions = [1, 2, 3, 4, 5, 6, 7].map((failures) => retryDecision(reconnect, failures));
    expect(decisions).toEqual([
      { action: 'retry', delayMs: 1_000 },
      { action: 'retry', delayMs: 2_000 },
      { action: 'retry', delayMs: 4_000 },
      { action: 'retry', delayMs: 8_000 },
      { action: 'retry', delayMs: 16_000 },
      { action: 'retry', delayMs: 30_000 },
      { action: 'give-up' },
    ]);
  });

  it('follows another policy where one is given', () => {
    expect(retryDecision({ ...reconnect, baseMs: 10, factor: 3, maxAttempts: 2 }, 2)).toEqual({
      action: 'retry',
      delayMs: 30,
    });
    expect(retryDecision({ ...reconnect, maxAttempts: 0 }, 1)).toEqual({ action: 'give-up' });
  });

  it('waits the base delay after no failure, and never longer than its limit', () => {
    expect([backoffDelay(reconnect, 0), backoffDelay(reconnect, 1_000)]).toEqual([1_000, 30_000]);
  });

  it('with full jitter waits between nothing and the delay, without jitter the delay', () => {
    expect([withJitter(1_000, 'full', 0), withJitter(1_000, 'full', 0.5), withJitter(1_000, 'none', 0.5)]).toEqual([
      0, 500, 1_000,
    ]);
  });
});

describe('the restart policy', () => {
  it('admits as many restarts as the window allows, and counts only those inside it', () => {
    let history: readonly number[] = [];
    const admitted = [0, 1_000, 2_000, 9_999, 10_000, 12_000].map((at) => {
      const admission = admitRestart(restart, history, at);
      history = admission.history;
      return admission.admitted;
    });
    expect(admitted).toEqual([true, true, true, false, true, true]);
  });

  it('restarts at once what was healthy for ten seconds, once', () => {
    expect(restartDelay(restart, { attempt: 1, startAttempts: 2, healthyForMs: 10_000 })).toBe(0);
    expect(restartDelay(restart, { attempt: 1, startAttempts: 2, healthyForMs: 9_999 })).toBe(500);
    expect(restartDelay(restart, { attempt: 2, startAttempts: 2, healthyForMs: 10_000 })).toBe(1_000);
  });

  it('begins the backoff of a start after its attempts', () => {
    const delays = [1, 2, 3, 4].map((attempt) => restartDelay(restart, { attempt, startAttempts: 3, healthyForMs: 0 }));
    expect(delays).toEqual([0, 0, 500, 1_000]);
  });
});

describe('the health verdict', () => {
  it.each([
    [{ failures: 1, failureThreshold: 3, busy: false }, 'watch'],
    [{ failures: 2, failureThreshold: 3, busy: false }, 'watch'],
    [{ failures: 3, failureThreshold: 3, busy: false }, 'restart'],
    [{ failures: 20, failureThreshold: 3, busy: true }, 'grace'],
    [{ failures: 1, failureThreshold: 1, busy: false }, 'restart'],
    [{ failures: 19, failureThreshold: 20, busy: false }, 'watch'],
  ] as const)('of %o is %s', (evidence, verdict) => {
    expect(healthVerdict(evidence)).toBe(verdict);
  });
});

describe('the class of a failure', () => {
  it.each([
    ['ERR_SPAWN_FAILED', 'ENOENT', 'permanent'],
    ['ERR_SPAWN_FAILED', 'EACCES', 'permanent'],
    ['ERR_SPAWN_FAILED', 'EMFILE', 'transient'],
    ['ERR_SPAWN_FAILED', 'ENOMEM', 'transient'],
    ['ERR_CONFIG_INVALID', undefined, 'configuration'],
    ['ERR_CONFIG_INVALID', 'own-config', 'configuration'],
    ['ERR_CONFIG_INVALID', 'foreign-config', 'permanent'],
    ['ERR_NESTED_SUPERVISION', undefined, 'permanent'],
    ['ERR_EXTERNAL_UNAVAILABLE', undefined, 'permanent'],
    ['ERR_VERSION_MISMATCH', undefined, 'permanent'],
    ['ERR_AUTH_REQUIRED', undefined, 'permanent'],
    ['ERR_INVALID_OPTION', undefined, 'permanent'],
    ['ERR_EXITED_BEFORE_READY', 'fixed-port-taken', 'permanent'],
    ['ERR_EXITED_BEFORE_READY', 'port-taken', 'transient'],
    ['ERR_EXITED_BEFORE_READY', 'signal', 'transient'],
    ['ERR_EXITED_BEFORE_READY', 'exit-code', 'suspicious'],
    ['ERR_READY_TIMEOUT', undefined, 'transient'],
    ['ERR_BACKEND_EXITED', 'unhealthy', 'transient'],
    ['ERR_SOMETHING_NEW', undefined, 'transient'],
  ] as const)('%s (%s) is %s', (code, reason, expected) => {
    expect(classifyFailure({ code, message: '', ...(reason ? { reason } : {}) })).toBe(expected);
  });
});

describe('the stall limit', () => {
  it('is 25 seconds, or 2.5 heartbeats where that is more, or what was configured', () => {
    expect([
      stallLimit(undefined, undefined),
      stallLimit(undefined, 10_000),
      stallLimit(undefined, 30_000),
      stallLimit(500, 30_000),
    ]).toEqual([25_000, 25_000, 75_000, 500]);
  });
});

describe('the evidence of a turn', () => {
  const failure = { code: 'ERR_TURN_FAILED', message: 'no' };
  const known = (...facts: readonly TurnFact[]): Evidence => facts.reduce(recordFact, NO_EVIDENCE);
  const reconciled = (fields: Partial<Extract<TurnFact, { kind: 'reconciled' }>> = {}): TurnFact => ({
    kind: 'reconciled',
    place: 'present',
    working: false,
    otherLife: false,
    overdue: false,
    ...fields,
  });
  const working: TurnFact = { kind: 'working' };
  const quiet: TurnFact = { kind: 'quiet' };
  it('waits for the end of a step that began after the server had nothing to say of the prompt', () => {
    const facts: TurnFact[] = [
      { kind: 'reconciled', place: 'absent', working: false, otherLife: false, overdue: false },
      { kind: 'step-began' },
    ];
    const began = facts.reduce(recordFact, NO_EVIDENCE);
    expect(assess(began)).toBeUndefined();
    const ended = recordFact(began, { kind: 'step-ended', last: true });
    const known: TurnFact = { kind: 'reconciled', place: 'present', working: false, otherLife: false, overdue: false };
    expect(assess(recordFact(ended, known))).toEqual({ kind: 'completed' });
  });

  it('is no proof of an end where another step began after the one that seemed the last', () => {
    const facts: TurnFact[] = [
      { kind: 'step-began' },
      { kind: 'step-ended', last: true },
      { kind: 'step-began' },
      { kind: 'quiet' },
    ];
    expect(assess(facts.reduce(recordFact, NO_EVIDENCE))).toEqual({ kind: 'unproven' });
  });

  const answered: TurnFact = { kind: 'step-ended', last: true, stopReason: 'end_turn' };
  const step: TurnFact = { kind: 'step-ended', last: false };
  const began: TurnFact = { kind: 'step-began' };
  const proved = { kind: 'completed', stopReason: 'end_turn' };

  it.each<[string, readonly TurnFact[], unknown]>([
    ['nothing says nothing', [], undefined],
    ['idle before busy says nothing', [quiet, quiet], undefined],
    ['an answer without quiet says nothing', [working, answered], undefined],
    ['an answer and quiet prove the end', [working, answered, quiet], proved],
    ['an answer found after the quiet proves the end', [working, quiet, answered], proved],
    ['busy again takes the quiet back', [working, answered, quiet, working], undefined],
    ['a step that calls tools is no answer', [working, began, step, quiet], { kind: 'unproven' }],
    ['quiet without an answer proves nothing', [working, quiet], { kind: 'unproven' }],
    [
      "its own message's error is a failure",
      [working, { kind: 'errored', failure }, quiet],
      { kind: 'failed', failure },
    ],
    [
      "a session's error is a failure where nothing else is known",
      [working, { kind: 'session-errored', failure }, quiet],
      { kind: 'failed', failure },
    ],
    [
      "a session's error before its own work is an echo",
      [{ kind: 'session-errored', failure }, working, answered, quiet],
      proved,
    ],
    [
      'an answer outweighs an error of the session',
      [working, { kind: 'session-errored', failure }, answered, quiet],
      proved,
    ],
    ['an abort of somebody else proves nothing', [working, { kind: 'aborted' }, quiet], { kind: 'interrupted' }],
    [
      'a rejection that ended the work completes it',
      [working, began, step, { kind: 'rejected' }, quiet],
      { kind: 'completed', stopReason: 'rejected' },
    ],
    [
      'a rejection whose step has no end yet completes nothing',
      [working, began, { kind: 'rejected' }, quiet],
      { kind: 'unproven' },
    ],
    [
      'a rejection does not complete what a dead server left',
      [working, began, { kind: 'rejected' }, reconciled({ otherLife: true })],
      { kind: 'interrupted' },
    ],
    [
      'a rejection before the last step is not the end',
      [working, began, { kind: 'rejected' }, began, quiet],
      { kind: 'unproven' },
    ],
    ['a rejection that the agent took is no end', [working, began, { kind: 'rejected' }, answered, quiet], proved],
    ['a response to the request is proof by itself', [{ kind: 'responded', stopReason: 'end_turn' }], proved],
    ['a failed response is a failure by itself', [{ kind: 'responded', failure }], { kind: 'failed', failure }],
    [
      'a server that knows of no work on an unknown prompt lost it',
      [reconciled({ place: 'absent', otherLife: true })],
      { kind: 'lost' },
    ],
    [
      'a server that kept the message without its content lost it',
      [reconciled({ place: 'torn', otherLife: true })],
      { kind: 'lost' },
    ],
    ['the same server may still begin', [reconciled({ place: 'absent' })], undefined],
    [
      'the same server does not begin any more after a while',
      [reconciled({ place: 'absent', overdue: true })],
      { kind: 'lost' },
    ],
    [
      'a prompt that was seen to run is never lost',
      [working, reconciled({ place: 'absent', otherLife: true })],
      { kind: 'interrupted' },
    ],
    ['an accepted prompt is not run again by another life', [reconciled({ otherLife: true })], { kind: 'interrupted' }],
    ['an accepted prompt that nobody works on is over', [working, reconciled()], { kind: 'interrupted' }],
    [
      'an answer that has no end goes on, whatever idle was told',
      [working, began, quiet, reconciled()],
      { kind: 'doubtful' },
    ],
    [
      'an answer that has no end has none in another life',
      [working, began, reconciled({ otherLife: true })],
      { kind: 'interrupted' },
    ],
    ['an accepted prompt that is not begun yet may still begin', [reconciled()], undefined],
    ['a server that works on it lets it go on', [reconciled({ working: true })], undefined],
    ['an answer found by asking proves the end', [answered, reconciled()], proved],
    ['busy after asking takes the answer back', [working, reconciled({ working: true }), quiet], { kind: 'unproven' }],
  ])('%s', (_, facts, assessment) => {
    expect(assess(known(...facts))).toEqual(assessment);
  });
});
