import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackendStatus } from '../../index.ts';
import type { FakeLife } from '../fixtures/fake-backend.ts';
import { type FakeWorld, fakeWorld } from '../fixtures/fake-world.ts';
import { settled } from '../fixtures/virtual-clock.ts';

/** What a host may ask, what may go wrong, and how much time passes. */
type Move =
  | { readonly do: 'start' | 'stop' | 'restart' | 'reload' | 'checkNow' | 'prompt' | 'settle' }
  | {
      readonly do:
        'crash' | 'slow-boot' | 'quick-boot' | 'slow-stop' | 'quick-stop' | 'silent' | 'answering' | 'acquire';
    }
  | { readonly do: 'wait'; readonly ms: number };

const OPERATIONS = ['start', 'stop', 'restart', 'reload', 'checkNow'] as const;
type Operation = (typeof OPERATIONS)[number];

const operation = fc.constantFrom(...OPERATIONS).map((name) => ({ do: name }));
const mishap = fc
  .constantFrom(
    'crash',
    'slow-boot',
    'quick-boot',
    'slow-stop',
    'quick-stop',
    'silent',
    'answering',
    'prompt',
    'settle',
    'acquire',
  )
  .map((name) => ({ do: name }) as const);
const pause = fc.constantFrom(0, 1, 400, 5_000, 12_000, 40_000).map((ms) => ({ do: 'wait' as const, ms }));
const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof({ arbitrary: operation, weight: 5 }, { arbitrary: mishap, weight: 3 }, { arbitrary: pause, weight: 3 }),
  { minLength: 3, maxLength: 25 },
);

interface Call {
  readonly name: Operation;
  /** A prompt came while it was under way: that starts the server again. */
  isOvertaken: boolean;
  status: BackendStatus | undefined;
}

/** A server whose process boots and ends as the moves say; every process that lives is known. */
class Scene {
  readonly world: FakeWorld;
  readonly calls: Call[] = [];
  /** Turns, and leases that were asked for. */
  readonly turns: Promise<unknown>[] = [];
  most = 0;
  #isBootSlow = false;
  #isStopSlow = false;
  #openSession: ReturnType<FakeWorld['supervisor']['openSession']> | undefined;

  constructor() {
    this.world = fakeWorld({ backend: { restart: { maxRestarts: 3 } } });
    const { backend } = this.world;
    backend.onLaunch = (life) => this.#boot(life);
  }

  async play(move: Move): Promise<void> {
    const { backend, clock } = this.world;
    if (move.do === 'wait') return clock.advance(move.ms);
    if (isOperation(move.do)) this.#call(move.do);
    if (move.do === 'crash') backend.lives.at(-1)?.end();
    if (move.do === 'slow-boot' || move.do === 'quick-boot') this.#isBootSlow = move.do === 'slow-boot';
    if (move.do === 'slow-stop' || move.do === 'quick-stop') this.#isStopSlow = move.do === 'slow-stop';
    if (move.do === 'silent') backend.onProbe = () => Promise.reject(new Error('no answer'));
    if (move.do === 'answering') backend.onProbe = () => Promise.resolve();
    if (move.do === 'settle') for (const turn of backend.turns) turn.complete('done');
    if (move.do === 'acquire') await this.#acquire();
    if (move.do === 'prompt') await this.#prompt();
  }

  async #acquire(): Promise<void> {
    this.#overtake();
    const acquired = this.world.supervisor.backend('code').acquire();
    this.turns.push(acquired.then((lease) => lease.release()).catch(() => undefined));
    await settled();
  }

  async #prompt(): Promise<void> {
    const { supervisor } = this.world;
    this.#overtake();
    this.#openSession ??= supervisor.openSession({ backend: 'code', directory: '/project', chatId: 'one' });
    const prompted = this.#openSession.then((session) => {
      this.#overtake();
      return session.prompt('work').result;
    });
    this.turns.push(prompted.catch(() => (this.#openSession = undefined)));
    await settled();
  }

  /** Whatever was slow or silent is not any more, and there is all the time in the world. */
  async heal(): Promise<void> {
    for (const name of ['quick-boot', 'quick-stop', 'answering'] as const) await this.play({ do: name });
    for (let round = 0; round < 30; round += 1) {
      await this.play({ do: 'settle' });
      await this.world.clock.advance(10_000);
    }
  }

  alive = (): FakeLife[] => this.world.backend.lives.filter((life) => !life.isOver);

  #overtake(): void {
    for (const call of this.calls) call.isOvertaken ||= call.status === undefined;
  }

  #call(name: Operation): void {
    const call: Call = { name, isOvertaken: false, status: undefined };
    this.calls.push(call);
    const handle = this.world.supervisor.backend('code');
    void handle[name]().then((status) => (call.status = status));
  }

  #boot(life: FakeLife): void {
    this.most = Math.max(this.most, this.alive().length);
    const { clock } = this.world;
    life.onStop = () => void clock.setTimeout(() => life.end(), this.#isStopSlow ? 3_000 : 0);
    if (this.#isBootSlow) clock.setTimeout(() => life.isOver || life.up(), 4_000);
    else life.up();
  }
}

const isOperation = (name: string): name is Operation => (OPERATIONS as readonly string[]).includes(name);

describe('start, stop, restart, reload and checkNow in any order, with crashes', () => {
  it(
    'never have two processes, lose nothing, and a stop ends in idle (1,000 interleavings)',
    { timeout: 120_000 },
    async () => {
      const property = fc.asyncProperty(moves, fc.constantFrom('stop', 'start', 'restart'), async (plan, last) => {
        const scene = new Scene();
        for (const move of plan) await scene.play(move);
        await settled();
        await scene.play({ do: last });
        await scene.heal();
        expect(scene.most).toBeLessThanOrEqual(1);
        expect(scene.calls.filter(({ status }) => status === undefined)).toEqual([]);
        const stops = scene.calls.filter(({ name, isOvertaken }) => name === 'stop' && !isOvertaken);
        for (const { status } of stops) expect(status?.state).toBe('idle');
        expect(scene.world.supervisor.status().backends['code']?.state).toBe(last === 'stop' ? 'idle' : 'healthy');
        await Promise.all(scene.turns);
        const stopped = scene.world.supervisor.stop({ graceMs: 1 });
        await scene.world.clock.advance(60_000);
        await stopped;
        expect(scene.alive()).toEqual([]);
      });
      await fc.assert(property, {
        numRuns: Number(process.env['RUNS'] ?? 1_000),
        seed: Number(process.env['SEED'] ?? 20261121),
      });
    },
  );
});
