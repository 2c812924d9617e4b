/** What `expect(promise).rejects` does, in a form that types and linters can follow. */

/** Resolves with the error that `promise` rejects with; rejects when it resolves instead. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  throw new Error(`expected a rejection, but it resolved with ${JSON.stringify(value)}`);
}
