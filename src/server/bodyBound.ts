/** How many bytes of bodies may be under way together, so that nobody can fill the memory. */

/** A body that is not here yet. */
interface Arriving {
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
   * one gives way (`giveWay` is called, once), else the new one is refused. Otherwise eight connections that announce 8 MiB and send nothing
   * would keep every review out for as long as they like; the API server's own arrive in one go.
   */
  admit(length: number, giveWay: () => void): HeldBody | undefined
}

/** Of several the oldest: sets keep the order of insertion. */
function largest(arriving: Iterable<Arriving>): Arriving | undefined {
  let found: Arriving | undefined
  for (const one of arriving) if (found === undefined || one.length > found.length) found = one
  return found
}

/** @param limit in bytes, of all bodies together, counted as what they say they will be */
export function createBodyBound(limit: number): BodyBound {
  let inFlight = 0
  const arriving = new Set<Arriving>()
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
        arriving.delete(one)
      }
      const one: Arriving = {
        length,
        giveWay() {
          release()
          giveWay()
        },
      }
      arriving.add(one)
      return { arrived: () => void arriving.delete(one), release }
    },
  }
}
