/**
 * Decoding and correlating a batch in pieces. A batch of 200 alerts takes 5 ms; a review that arrives meanwhile may be queued by the kernel behind it, on the same core,
 * for as long as the thread does not sleep. So the thread sleeps for a moment after each piece, whoever waits and however many cores there are: a container often
 * has a part of them only. What is one call of JSON.parse (an array, an audit EventList) cannot be cut, and the ledger is not.
 */

/** Long against what a rest costs (some 0.08 ms), and no longer than a review takes. */
const PIECE_MILLISECONDS = 0.35

/** Gives a thread's work to it in pieces. */
export type InPieces = <T>(items: Iterable<T>) => Iterable<T>

/**
 * @param options.now milliseconds, never goes back
 * @param options.rest sleeps
 * @returns gives the items one by one, as they are, and rests when those since the last rest took 0.35 ms
 */
export function createInPieces({ now, rest }: { readonly now: () => number; readonly rest: () => void }): InPieces {
  return function* inPieces(items) {
    let since = now()
    for (const item of items) {
      yield item
      if (now() - since < PIECE_MILLISECONDS) continue
      rest()
      since = now()
    }
  }
}

const nobodyWakes = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps for as short as the system can: some 0.08 ms. Blocks the thread, for workers only. */
export function restThread(): void {
  Atomics.wait(nobodyWakes, 0, 0, 0.01)
}
