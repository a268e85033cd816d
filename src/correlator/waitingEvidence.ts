/** Evidence that changes nothing else: it waits for the next write of its verdict, or for the sweep. Most alerts of a flood end here, so it is cheap. */
import { newestEvidence, selectEvidence } from '../verdicts/evidence.ts'
import { noFacts } from '../verdicts/merge.ts'
import type { Evidence, VerdictFacts } from '../verdicts/types.ts'

export interface WaitingEvidence {
  /** Keeps the newest piece of each key. */
  add(name: string, evidence: readonly Evidence[]): void
  /** What waits for this verdict, which waits no longer; undefined: nothing. */
  take(name: string): VerdictFacts | undefined
  /** Verdicts that evidence waits for. */
  names(): readonly string[]
  size(): number
}

/** Pieces of one verdict; from more of them those are chosen that the verdict would keep. */
const MAX_PIECES = 64

export function createWaitingEvidence(): WaitingEvidence {
  const waiting = new Map<string, Map<string, Evidence>>()
  return {
    add: (name, evidence) => {
      const known = waiting.get(name)
      let pieces = known ?? new Map<string, Evidence>()
      for (const piece of evidence) {
        const other = pieces.get(piece.key)
        pieces.set(piece.key, other === undefined ? piece : newestEvidence(piece, other))
      }
      if (pieces.size > MAX_PIECES)
        pieces = new Map(selectEvidence([...pieces.values()]).map((piece) => [piece.key, piece]))
      if (pieces !== known) waiting.set(name, pieces)
    },
    take: (name) => {
      const pieces = waiting.get(name)
      waiting.delete(name)
      return pieces && { ...noFacts, evidence: [...pieces.values()] }
    },
    names: () => [...waiting.keys()],
    size: () => waiting.size,
  }
}
