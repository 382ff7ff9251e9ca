/** Tasks that do not overlap. */
export interface SerialQueue {
  /** Tasks that have not begun. */
  waiting(): number;
  run<T>(task: () => Promise<T>): Promise<T>;
}

/** Runs tasks one after the other, in the order in which they came; one that fails does not keep the next from running. */
export function serialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    waiting: () => waiting,
    run(task) {
      waiting += 1;
      const begin = () => {
        waiting -= 1;
        return task();
      };
      const result = last.then(begin, begin);
      last = result;
      return result;
    },
  };
}
