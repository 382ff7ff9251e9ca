import { type AnyEventObject, fromCallback } from 'xstate';
import type { ProbeInput, ProbeReport } from '../../machines/health-machine.ts';
import type { LifeSubject } from '../../machines/life-types.ts';
import { asynchronousActor } from '../asynchronous-actor.ts';
import { withLimit } from '../clock-loop.ts';
import type { SupervisorEvents } from '../contract/supervisor.ts';
import { messageOf } from '../errors.ts';
import type { AgentLifeObserver, ProcessLife } from '../ports.ts';
import type { Registry } from '../registry.ts';
import type { LifeRuntime } from './life-runtime.ts';

/** Which lives an actor is about, and how one begins. */
export interface LifePlace {
  readonly life: LifeRuntime;
  readonly launch: (generation: number, tell: (event: AnyEventObject) => void) => ProcessLife;
}

/** Owns one process life: acquires and releases it, in this actor and in the scope of its owner. */
export function processActor(placeOf: (subject: LifeSubject) => LifePlace) {
  return fromCallback<AnyEventObject, LifeSubject>(({ input, sendBack, receive }) => {
    const { life, launch } = placeOf(input);
    let isCurrent = true;
    const tell = (event: AnyEventObject) => {
      if (!isCurrent) return;
      isCurrent = event.type !== 'process.ended';
      if (!isCurrent) life.lifeOver();
      sendBack(event);
    };
    const started = launch(input.generation, tell);
    const release = life.scope.defer(() => started.release());
    receive((command) => (command.type === 'process.kill' ? started.kill() : started.stop()));
    return () => {
      if (isCurrent) life.lifeOver();
      isCurrent = false;
      void release();
    };
  });
}

/** What every process life tells. */
export function lifeObserver(
  registry: Registry,
  backendId: string,
  tell: (event: AnyEventObject) => void,
): AgentLifeObserver {
  const { clock } = registry;
  return {
    spawned: (pid) => tell({ type: 'process.spawned', at: clock.now(), pid }),
    ended: ({ survivors, ...end }) => {
      if (survivors.length > 0) registry.warn(leftRunning(backendId, survivors));
      tell({ type: 'process.ended', at: clock.now(), ...end });
    },
  };
}

function leftRunning(backend: string, survivors: readonly number[]): SupervisorEvents['warning'] {
  const message = `Processes of ${backend} could not be ended: ${survivors.join(', ')}. End them by hand.`;
  return { code: 'ERR_INTERNAL', message, backend };
}

/** What can be asked whether it lives. */
export interface Probed {
  readonly life: LifeRuntime;
  readonly intervalMs: number;
  readonly lastSeenAt: () => number;
  readonly probe: (signal: AbortSignal) => Promise<void>;
}

/** Recent traffic is proof of life, and saves the question: who is busy may be slow to answer it. */
export function probeActor(registry: Registry, probedBy: (input: ProbeInput) => Probed) {
  const { clock } = registry;
  return asynchronousActor<ProbeReport, ProbeInput>(registry, async (input, { signal, tell }) => {
    const { life, intervalMs, lastSeenAt, probe } = probedBy(input);
    const isAlive = !input.asked && clock.now() - lastSeenAt() < intervalMs;
    try {
      if (!isAlive) await withLimit(clock, input.timeoutMs, signal, probe);
      tell({ type: 'probe.passed', at: clock.now() });
    } catch (error) {
      tell({ type: 'probe.failed', at: clock.now(), reason: messageOf(error) });
    }
    if (input.asked) life.checked();
  });
}
