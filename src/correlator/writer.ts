/**
 * Writes to the ledger, one at a time per verdict: the first change is written at once, what arrives during that write goes together into the next one.
 * No timer. Changes of different verdicts do not wait for one another.
 */
import { mergeFacts } from '../verdicts/merge.ts'
import { isStricter } from '../verdicts/phase.ts'
import {
  type ImageVerdict,
  type Phase,
  StoreBusyError,
  type VerdictFacts,
  type VerdictStore,
} from '../verdicts/types.ts'

export interface Written {
  readonly verdict: ImageVerdict
  /** This write made the phase stricter; told to one of the changes that were written together. */
  readonly crossed: boolean
}

/** A change: facts to be merged, or a step from one value to the next (`undefined`: there is no such verdict). */
export type Change = { readonly facts: VerdictFacts } | { readonly step: (current: ImageVerdict) => ImageVerdict }

export interface WriterOptions {
  /** The store's conditional write. */
  readonly write: VerdictStore['write']
  /** Merges facts into the stored value and decides the phase; pure. */
  readonly extend: (name: string, current: ImageVerdict | undefined, facts: VerdictFacts) => ImageVerdict
  /** Evidence that waits for the next write of this verdict anyway; it never makes a verdict by itself. */
  readonly takeAlong: (name: string) => VerdictFacts | undefined
  /** That write failed. */
  readonly putBack: (name: string, facts: VerdictFacts) => void
  /** After every successful write that changed something, before its changes are acknowledged. */
  readonly onWritten: (verdict: ImageVerdict, from: Phase | undefined) => void
  /** The store is capped: make room for `wanted` (undefined: nothing new) if possible; `true`: worth another try. */
  readonly makeRoom: (wanted: ImageVerdict | undefined) => Promise<boolean>
  /** Changes that may wait, over all verdicts; more are refused with StoreBusyError. */
  readonly maxWaiting: number
}

/** Thrown by a step on a verdict that is not (or no longer) there. */
export class NoSuchVerdictError extends Error {
  override readonly name = 'NoSuchVerdictError'
}

/** The ledger is full and the new verdict would only be observed: trying again would not help, so the alert is not worth a 503. */
export class NoRoomError extends StoreBusyError {}

interface Waiting {
  readonly change: Change
  readonly resolve: (written: Written) => void
  readonly reject: (error: unknown) => void
}

export interface Writer {
  /** Resolves when the change is durable; rejects with the store's error, StoreBusyError or NoSuchVerdictError. */
  submit(name: string, change: Change): Promise<Written>
  /** Resolves when nothing is being written. */
  idle(): Promise<void>
  /** Changes that are not being written yet. */
  waiting(): number
}

export function createWriter(options: WriterOptions): Writer {
  const { maxWaiting } = options
  const queues = new Map<string, Waiting[]>()
  const running = new Map<string, Promise<void>>()
  let waiting = 0

  const apply = (
    name: string,
    current: ImageVerdict | undefined,
    facts: readonly (VerdictFacts | undefined)[],
    batch: readonly Waiting[],
  ): ImageVerdict => {
    const given = facts.filter((item) => item !== undefined)
    let next = given.length === 0 ? current : options.extend(name, current, given.reduce(mergeFacts))
    for (const { change } of batch) {
      if ('step' in change && next !== undefined) next = change.step(next)
    }
    if (next === undefined) throw new NoSuchVerdictError(`there is no verdict ${name}`)
    return next
  }

  const writeOnce = async (
    name: string,
    batch: readonly Waiting[],
    onWanted: (verdict: ImageVerdict | undefined) => void,
  ): Promise<Written> => {
    const along = options.takeAlong(name)
    let facts: VerdictFacts | undefined
    for (const { change } of batch) {
      if ('facts' in change) facts = facts === undefined ? change.facts : mergeFacts(facts, change.facts)
    }
    const own = facts
    let from: Phase | undefined
    let changed = false
    let verdict: ImageVerdict
    try {
      verdict = await options.write(name, (current) => {
        const next = apply(name, current, current === undefined ? [own] : [along, own], batch)
        // The store calls this again after a conflict: only the last call's values describe what was written.
        from = current?.phase
        changed = next !== current
        onWanted(current === undefined ? next : undefined)
        return next
      })
    } catch (error) {
      if (along !== undefined) options.putBack(name, along)
      throw error
    }
    if (changed) options.onWritten(verdict, from)
    return { verdict, crossed: changed && isStricter(from, verdict.phase) }
  }

  const write = async (name: string, batch: readonly Waiting[]): Promise<void> => {
    let wanted: ImageVerdict | undefined
    const attempt = (): Promise<Written> => writeOnce(name, batch, (verdict) => (wanted = verdict))
    try {
      let written: Written
      try {
        written = await attempt()
      } catch (error) {
        if (!(error instanceof StoreBusyError)) throw error
        // Only a store that is full for good makes a verdict give way; one that is busy will have time.
        if (!(await options.makeRoom(error.ledgerFull ? wanted : undefined))) throw error
        written = await attempt()
      }
      const teller = batch.find(({ change }) => 'facts' in change) ?? batch[0]
      for (const item of batch) item.resolve(item === teller ? written : { ...written, crossed: false })
    } catch (error) {
      const weak = error instanceof StoreBusyError && error.ledgerFull && wanted?.phase === 'observing'
      const told = weak ? new NoRoomError(`${error.message}, and this image would only be observed`, true) : error
      for (const item of batch) item.reject(told)
    }
  }

  const drain = async (name: string): Promise<void> => {
    // Begins after the caller's synchronous work, so that all alerts of one request share the first write.
    await Promise.resolve()
    for (let batch = queues.get(name); batch !== undefined; batch = queues.get(name)) {
      queues.delete(name)
      await write(name, batch)
      waiting -= batch.length
    }
    running.delete(name)
  }

  return {
    submit: (name, change) =>
      new Promise((resolve, reject) => {
        if (waiting >= maxWaiting) {
          reject(new StoreBusyError(`${maxWaiting} changes wait for the ledger`))
          return
        }
        waiting++
        const queue = queues.get(name)
        if (queue === undefined) queues.set(name, [{ change, resolve, reject }])
        else queue.push({ change, resolve, reject })
        if (!running.has(name)) running.set(name, drain(name))
      }),
    waiting: () => waiting,
    idle: async () => {
      while (running.size > 0) await Promise.all(running.values())
    },
  }
}
