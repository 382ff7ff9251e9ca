import { admitOperation, type OperationKind } from '../../machines/policies/operation-queue.ts';

type Work<T> = () => Promise<T>;

interface Operation<T> {
  readonly kind: OperationKind;
  readonly work: Work<T>;
  readonly done: Promise<T>;
  readonly settle: (outcome: Promise<T>) => void;
}

/** What a host asks of a backend, one thing after the other: nothing overlaps, and nothing is lost. `T` is what it ends with. */
export class OperationQueue<T> {
  /** The last one is the one that counts; those before it were overtaken, and end with it. */
  #running: Operation<T>[] = [];
  #waiting: Operation<T>[] = [];

  /** Resolves when it was done, by this request or by an equal one; rejects as `work` does. */
  request(kind: OperationKind, work: Work<T>): Promise<T> {
    const running = this.#running.at(-1);
    const waiting = this.#waiting.find((operation) => operation.kind === kind);
    const line = { running: running?.kind, waiting: this.#waiting.map((operation) => operation.kind) };
    const admission = admitOperation(kind, line);
    if (admission === 'join-running' && running) return running.done;
    if (admission === 'join-waiting' && waiting) return waiting.done;
    return this.#enter(newOperation(kind, work), admission);
  }

  #enter(operation: Operation<T>, admission: string): Promise<T> {
    if (admission === 'wait' && this.#running.length + this.#waiting.length > 0) {
      this.#waiting.push(operation);
      return operation.done;
    }
    const overtaken = admission === 'clear' ? this.#waiting.splice(0) : [];
    for (const other of overtaken) other.settle(operation.done); // Their callers hear when this one is done.
    this.#run(operation);
    return operation.done;
  }

  #run(operation: Operation<T>): void {
    this.#running.push(operation);
    const outcome = operation.work();
    operation.settle(outcome);
    const isOver = () => this.#over(operation);
    outcome.then(isOver, isOver);
  }

  /** It is over at once; the next one begins when those who asked for this one have heard. */
  #over(operation: Operation<T>): void {
    this.#running = this.#running.filter((other) => other !== operation);
    const heard = operation.done.then(nothing, nothing);
    void heard.then(() => this.#runNext());
  }

  #runNext(): void {
    const next = this.#running.length === 0 ? this.#waiting.shift() : undefined;
    if (next) this.#run(next);
  }
}

const nothing = () => undefined;

function newOperation<T>(kind: OperationKind, work: Work<T>): Operation<T> {
  let settle!: (outcome: Promise<T>) => void;
  const done = new Promise<T>((resolve) => (settle = resolve));
  return { kind, work, done, settle };
}
