/** How many bytes of bodies may be under way together, so that nobody can fill the memory. */
import { UnderWay } from './underWay.ts'

/** A body that is not here yet. */
interface Arriving {
  /** Counted up from the first. */
  readonly number: number
  /** Bytes that it is counted as. */
  readonly length: number
  readonly giveWay: () => void
}

/** A body that was let in. */
export interface HeldBody {
  /** All of it is here: it gives way to no other any more. */
  arrived(): void
  /** Its request is over, whatever became of it. Counts once, however often it is called. */
  release(): void
}

export interface BodyBound {
  /**
   * Lets a body in that says it has so many bytes, or undefined. Beyond the limit one that is still arriving and is at least as large as the new
   * one gives way (`giveWay` is called, once, and must not throw), else the new one is refused. Otherwise eight connections that announce 8 MiB and send nothing
   * would keep every review out for as long as they like; the API server's own arrive in one go.
   */
  admit(length: number, giveWay: () => void): HeldBody | undefined
}

/** Of several the oldest. */
function largest(arriving: Iterable<Arriving>): Arriving | undefined {
  let found: Arriving | undefined
  for (const one of arriving) {
    const isBetter =
      found === undefined || one.length > found.length || (one.length === found.length && one.number < found.number)
    if (isBetter) found = one
  }
  return found
}

/** @param limit in bytes, of all bodies together, counted as what they say they will be */
export function createBodyBound(limit: number): BodyBound {
  let inFlight = 0
  let admitted = 0
  const arriving = new UnderWay<Arriving>()
  return {
    admit(length, giveWay) {
      if (inFlight + length > limit) {
        const other = largest(arriving)
        if (other === undefined || other.length < length) return undefined
        other.giveWay()
      }
      inFlight += length
      let counted = length
      const release = (): void => {
        inFlight -= counted
        counted = 0
        arrived()
      }
      const arrived = arriving.add({
        length,
        number: admitted++,
        giveWay() {
          release()
          giveWay()
        },
      })
      return { arrived, release }
    },
  }
}
