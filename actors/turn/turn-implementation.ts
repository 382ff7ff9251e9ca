import { turnMachine } from '../../machines/turn-machine.ts';
import type { TurnEvent } from '../../machines/turn-setup.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { waitFor, withLimit } from '../clock-loop.ts';
import { guarded } from '../guarded.ts';
import type { Registry, TurnEntry } from '../registry.ts';

/** A cancel can be lost: it is repeated this often until the turn has settled, in milliseconds. */
const CANCEL_EVERY_MS = 250;
/** Limit of one cancel request, in milliseconds. */
const CANCEL_LIMIT_MS = 5_000;
/** How often the server is asked about a prompt of which nothing is known, in milliseconds. */
const AUDIT_EVERY_MS = 1_000;
/** Cancels between two audits: quiet may have been told while nobody listened. */
const CANCELS_PER_AUDIT = 4;

interface TurnSubject {
  readonly turnId: string;
}

/** The turn chart over the drivers. */
export function provideTurn(registry: Registry) {
  const { logger } = registry;
  const entryOf = ({ turnId }: TurnSubject) => registry.turn(turnId);
  return turnMachine.provide({
    actors: {
      quieter: quieterActor(registry),
      dispatch: dispatchActor(registry),
      auditor: auditorActor(registry),
      canceller: cancellerActor(registry),
      inactivityClock: inactivityActor(registry),
    },
    actions: {
      announce: guarded(logger, 'announce', ({ context, self }) => {
        const { turn } = entryOf(context);
        turn.bind(self);
        if (turn.isSettled) queueMicrotask(() => self.send({ type: 'turn.cancel' })); // Given up before it had an actor.
      }),
      requestBackend: guarded(logger, 'requestBackend', ({ context }) => requestBackend(registry, entryOf(context))),
      requestAudit: guarded(logger, 'requestAudit', ({ context }) => entryOf(context).session.carrier.audit()),
      withdraw: guarded(logger, 'withdraw', ({ context }) => entryOf(context).turn.driver?.withdraw()),
      confirmAttached: guarded(logger, 'confirmAttached', ({ context }) => confirmAttached(registry, entryOf(context))),
      withdrawDecisions: guarded(logger, 'withdrawDecisions', ({ context }) => {
        const { session, withdrawDecisions } = entryOf(context);
        withdrawDecisions({ tell: session.carrier.isAvailable });
      }),
      retire: guarded(logger, 'retire', ({ context }) => {
        const { carrier, driver } = entryOf(context).session;
        carrier.retire(driver);
      }),
      settle: guarded(logger, 'settle', ({ context }) => {
        if (context.verdict) entryOf(context).turn.settle(context.verdict);
      }),
    },
  });
}

/** Wakes what is asleep, and tells the turn at once where nothing is. */
function requestBackend({ clock }: Registry, { turn, session: { carrier } }: TurnEntry): void {
  if (carrier.gone) return turn.send({ type: 'backend.failed', at: clock.now(), failure: carrier.gone });
  carrier.wake();
  if (carrier.isOpen) turn.send({ type: 'backend.available', at: clock.now() });
}

/** The connection may have broken between the sending of the prompt and its acceptance. */
function confirmAttached({ clock }: Registry, { turn, session: { carrier } }: TurnEntry): void {
  if (carrier.isOpen) return;
  turn.send({ type: carrier.isAvailable ? 'backend.lost' : 'backend.exited', at: clock.now() });
  const failure = carrier.down ?? carrier.deaf;
  if (failure) turn.send({ type: 'backend.failed', at: clock.now(), failure });
}

/** Ends what an earlier turn left working. It has had its chance when the limit is over: the prompt is sent all the same. */
function quieterActor(registry: Registry) {
  const { clock, logger } = registry;
  return asynchronousActor<TurnEvent, TurnSubject>(registry, async ({ turnId }, { signal, tell }) => {
    const { turn, session } = registry.turn(turnId);
    if (session.unquiet) {
      const work = (limited: AbortSignal) => session.driver.quiet(limited);
      await withLimit(clock, turn.limits.cancelTimeoutMs, signal, work).catch((error: unknown) => {
        if (!signal.aborted) logger.warn({ err: error, sessionId: session.id }, 'The session did not become quiet.');
      });
      if (signal.aborted) return;
      session.unquiet = false;
    }
    tell({ type: 'session.quiet', at: clock.now() });
  });
}

/** Sends the prompt once. */
function dispatchActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<TurnEvent, TurnSubject>(registry, async ({ turnId }, { signal, tell }) => {
    const { turn, remember } = registry.turn(turnId);
    if (!turn.driver) throw new Error(`The turn ${turnId} was not admitted.`);
    turn.beginDispatch();
    await remember();
    if (signal.aborted) return;
    const outcome = await turn.driver.send(signal);
    const at = clock.now();
    if (outcome.kind === 'accepted') tell({ type: 'dispatch.accepted', at });
    else tell({ type: `dispatch.${outcome.kind}`, at, failure: outcome.failure });
  });
}

/** Asks what became of the prompt until somebody knows. */
function auditorActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<TurnEvent, TurnSubject>(registry, async ({ turnId }, { signal, tell }) => {
    const { carrier } = registry.turn(turnId).session;
    while (!signal.aborted) {
      if (carrier.down) tell({ type: 'backend.failed', at: clock.now(), failure: carrier.down });
      else carrier.audit();
      await waitFor(clock, AUDIT_EVERY_MS, signal);
    }
  });
}

/** Cancels at once, at the first sign of work after that, and again and again: each one may be lost. */
function cancellerActor(registry: Registry) {
  const { clock, logger } = registry;
  return asynchronousActor<TurnEvent, TurnSubject>(registry, async ({ turnId }, { signal }) => {
    const { turn, session } = registry.turn(turnId);
    const cancel = () => {
      withLimit(clock, CANCEL_LIMIT_MS, signal, async (limited) => turn.driver?.cancel(limited)).catch(
        (error: unknown) => {
          if (!signal.aborted)
            logger.debug({ err: error, turnId }, 'A cancel did not reach the agent; it is repeated.');
        },
      );
    };
    turn.onSign(cancel);
    for (let count = 1; !signal.aborted; count += 1) {
      cancel();
      if (count % CANCELS_PER_AUDIT === 0) session.carrier.audit();
      await waitFor(clock, CANCEL_EVERY_MS, signal);
    }
    turn.onSign(undefined);
  });
}

/** Wakes when the turn would be inactive if nothing came until then; events re-arm nothing. */
function inactivityActor(registry: Registry) {
  const { clock } = registry;
  return asynchronousActor<TurnEvent, { turnId: string; limitMs: number }>(
    registry,
    async ({ turnId, limitMs }, { signal, tell }) => {
      const { turn } = registry.turn(turnId);
      turn.touch();
      for (;;) {
        const leftMs = limitMs - (clock.now() - turn.lastSeenAt);
        if (leftMs <= 0) return void tell({ type: 'clock.inactive', at: clock.now() });
        await waitFor(clock, Math.ceil(leftMs), signal);
        if (signal.aborted) return;
      }
    },
  );
}
