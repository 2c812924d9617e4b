/** Waiting with signals, and running several async tasks ahead of their consumer. */

import { setImmediate, setTimeout as delay } from "node:timers/promises";

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
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
 * Yields the items of `source` and reads up to `depth` of them ahead of the consumer. A rejection surfaces after the items
 * before it. Holds at most `depth` items besides the one that the consumer has. Awaits `afterRequest` between requesting
 * the next item and yielding the last one. Without it an item that has been read reaches the consumer before any timer
 * fires: the merge of a capture relies on that.
 */
export async function* prefetch<T>(
  source: AsyncIterable<T>,
  depth: number,
  afterRequest?: () => Promise<void>,
): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const pending: Promise<IteratorResult<T>>[] = [];
  const pull = (): void => {
    const next = iterator.next();
    next.catch(() => undefined); // awaited in its turn; until then a rejection is not unhandled
    pending.push(next);
  };
  try {
    for (let i = 0; i < depth; i += 1) pull();
    for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
      const result = await next;
      if (result.done === true) return;
      pull();
      await afterRequest?.();
      yield result.value;
    }
  } finally {
    await Promise.allSettled(pending);
    await iterator.return?.();
  }
}

/** Resolves to true as soon as `work` settles, to false after `ms`. Never rejects. */
export async function isSettledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, ms, false)));
  const isSettled = (): boolean => true;
  try {
    return await Promise.race([work.then(isSettled, isSettled), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Settles as `work` does; but `graceMs` after `signal` aborts, rejects with the signal's reason. For work that cannot be
 * cancelled, such as a write to a pipe without a reader.
 */
export async function settledWithin<T>(work: Promise<T>, signal: AbortSignal, graceMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = Promise.withResolvers<never>();
  expired.promise.catch(() => undefined);
  const onAbort = (): void => {
    timer = setTimeout(() => expired.reject(signal.reason), graceMs);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, expired.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** A task that has been started, and its first item. */
interface Started<T> {
  readonly iterator: AsyncIterator<T>;
  readonly first: Promise<IteratorResult<T>>;
}

/**
 * Runs up to `width` tasks at once and yields their items in the order of the tasks. `tasks` is read one by one, ahead of
 * the consumer. A rejection, of a task or of `tasks`, surfaces after the items before it. On a rejection, and when the
 * consumer returns, all started tasks are returned before this generator ends.
 */
export async function* inOrder<Task, Item>(
  tasks: AsyncIterable<Task>,
  width: number,
  start: (task: Task) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const source = tasks[Symbol.asyncIterator]();
  const queue: Promise<Started<Item> | undefined>[] = [];
  let lastTaken: Promise<unknown> = Promise.resolve();
  const takeNext = async (): Promise<Started<Item> | undefined> => {
    const task = await source.next();
    if (task.done === true) return undefined;
    const iterator = start(task.value)[Symbol.asyncIterator]();
    const first = iterator.next();
    first.catch(() => undefined); // awaited in its turn
    return { iterator, first };
  };
  const take = (): void => {
    const next = lastTaken.then(takeNext);
    next.catch(() => undefined); // awaited in its turn
    lastTaken = next;
    queue.push(next);
  };
  try {
    for (let i = 0; i < width; i += 1) take();
    for (let task = await queue[0]; task !== undefined; task = await queue[0]) {
      for (let item = await task.first; item.done !== true; item = await task.iterator.next()) yield item.value;
      void queue.shift();
      take();
    }
  } finally {
    const started = await Promise.allSettled(queue);
    const running = started.flatMap((task) => (task.status === "fulfilled" && task.value ? [task.value] : []));
    await Promise.allSettled(running.map(async ({ iterator }) => iterator.return?.()));
    await source.return?.();
  }
}

/** Runs `work` on all items, up to `width` at once. After a rejection no further item is begun; settles when all have settled. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items.values();
  let failure: { readonly reason: unknown } | undefined;
  const run = async (): Promise<void> => {
    for (const item of iterator) {
      if (failure) return;
      try {
        await work(item);
      } catch (reason) {
        failure ??= { reason };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, run));
  if (failure) throw failure.reason;
}
