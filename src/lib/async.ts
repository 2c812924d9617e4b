/** Waiting, signal-aware. */

import { setImmediate, setTimeout as delay } from "node:timers/promises";

/** Resolves after `ms`; rejects at once with the signal's reason when it aborts. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/**
 * Resolves after one turn of the event loop: what has been sent is then on its way even if the caller now keeps the
 * thread busy. The driver writes a command to its socket some promises after the call.
 */
export async function eventLoopTurn(): Promise<void> {
  await setImmediate();
}

/**
 * Reads ahead of the consumer by up to `depth` items. Items come in order; the first failure comes in its place.
 * Memory is bounded by `depth` items and the one that the consumer holds. Before an item is yielded the next one has been
 * requested and the event loop has had a turn to send that request.
 */
export async function* prefetch<T>(source: AsyncIterable<T>, depth: number): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const pending: Promise<IteratorResult<T>>[] = [];
  const pull = (): void => {
    const next = iterator.next();
    next.catch(() => undefined); // it is awaited in its turn; until then a failure is not "unhandled"
    pending.push(next);
  };
  try {
    for (let i = 0; i < depth; i += 1) pull();
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const result = await next;
      if (result.done === true) return;
      pull();
      await eventLoopTurn();
      yield result.value;
    }
  } finally {
    await Promise.allSettled(pending);
    await iterator.return?.();
  }
}

/** Whether `work` has come to an end, whichever, when `ms` are over. */
export async function isSettledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, ms, false)));
  const settled = (): boolean => true;
  try {
    return await Promise.race([work.then(settled, settled), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for `work`; when `signal` aborts first, waits `graceMs` more and then rejects with the signal's reason.
 * For work that cannot be cancelled, such as a write to a pipe that nobody reads.
 */
export async function settledWithin<T>(work: Promise<T>, signal: AbortSignal, graceMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const gone = Promise.withResolvers<never>();
  gone.promise.catch(() => undefined);
  const onAbort = (): void => {
    timer = setTimeout(() => gone.reject(signal.reason), graceMs);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, gone.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** One of several things that are under way at once; `next` began with it. */
interface Started<T> {
  readonly iterator: AsyncIterator<T>;
  readonly first: Promise<IteratorResult<T>>;
}

/**
 * Starts up to `width` tasks before their turn and yields what they yield in the order of the tasks. Tasks are taken
 * from `tasks` one by one, ahead of their turn as well. A failure, of a task or of `tasks`, comes in its place; then, and
 * when the consumer takes no more, whatever has been started is ended before this ends.
 */
export async function* inOrder<Task, Item>(
  tasks: AsyncIterable<Task>,
  width: number,
  start: (task: Task) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const source = tasks[Symbol.asyncIterator]();
  const waiting: Promise<Started<Item> | undefined>[] = [];
  let taken: Promise<unknown> = Promise.resolve();
  const takeNext = async (): Promise<Started<Item> | undefined> => {
    const task = await source.next();
    if (task.done === true) return undefined;
    const iterator = start(task.value)[Symbol.asyncIterator]();
    const first = iterator.next();
    first.catch(() => undefined); // it is awaited in its turn
    return { iterator, first };
  };
  const take = (): void => {
    const next = taken.then(takeNext);
    next.catch(() => undefined); // it is awaited in its turn
    taken = next;
    waiting.push(next);
  };
  try {
    for (let i = 0; i < width; i += 1) take();
    for (let task = await waiting[0]; task !== undefined; task = await waiting[0]) {
      for (let item = await task.first; item.done !== true; item = await task.iterator.next()) yield item.value;
      void waiting.shift();
      take();
    }
  } finally {
    const started = await Promise.allSettled(waiting);
    const begun = started.flatMap((task) => (task.status === "fulfilled" && task.value ? [task.value] : []));
    await Promise.allSettled(begun.map(async ({ iterator }) => iterator.return?.()));
    await source.return?.();
  }
}
