/** What people decided about a verdict, how long it holds, and what it silences (rule 19). Pure. */
import { repositoryOf } from './name.ts'
import type { Decision, ImageVerdict, Muted, VerdictFacts } from './types.ts'

const DAY_MS = 24 * 3600_000

/** How long a decision holds that names no end. */
export const DECISION_MS = 30 * DAY_MS

/** No decision holds longer, whatever its `until`: what was right a year ago is looked at again. */
export const MAX_DECISION_MS = 365 * DAY_MS

/** Of repositories and acts each, as JSON. */
const MAX_MUTED_BYTES = 300

/** When a decision ends, milliseconds since the epoch. */
export function decisionEnd({ at, until }: Pick<Decision, 'at' | 'until'>): number {
  return Math.min(until ?? at + DECISION_MS, at + MAX_DECISION_MS)
}

/** Whether a person's confirmation counts at `now`: not over, and no release came after it. */
export function isConfirmed({ confirm, release }: Pick<VerdictFacts, 'confirm' | 'release'>, now: number): boolean {
  return confirm !== undefined && now <= decisionEnd(confirm) && (release === undefined || confirm.at > release.at)
}

/** Until when this verdict silences anything; 0: it does not. So long it has to be kept. */
export function mutesUntil({ release, mute }: Pick<ImageVerdict, 'release' | 'mute'>): number {
  const released = release === undefined || release.as === 'fixed' ? 0 : decisionEnd(release)
  return Math.max(released, mute === undefined ? 0 : decisionEnd(mute))
}

/**
 * What a release as `false-positive` silences: the acts of its evidence up to then, in the repositories of the names that alerts came with. Taken once, at the
 * release: names and evidence that join later were in nobody's mind. Bounded; what finds no room is not silenced.
 */
export function mutedBy(facts: Pick<VerdictFacts, 'references' | 'alerted' | 'evidence' | 'release' | 'muted'>): {
  readonly muted?: Muted
} {
  const { release, muted } = facts
  if (release?.as !== 'false-positive') return {}
  if (muted?.at === release.at) return { muted }
  const repositories = facts.references.slice(0, facts.alerted?.references ?? 0).map(repositoryOf)
  const acts = facts.evidence
    .filter(({ weight, time }) => weight > 0 && time <= release.at)
    .map((piece) => ({ class: piece.class, target: piece.target ?? '' }))
  return { muted: { at: release.at, repositories: fitting(repositories), acts: fitting(acts) } }
}

/** Why an act in the image of this verdict is silent at `now`; undefined: it is not. */
export function muteOfImage(
  verdict: Pick<ImageVerdict, 'release' | 'mute' | 'muted'>,
  act: Muted['acts'][number],
  now: number,
): string | undefined {
  const { release, mute } = verdict
  if (mute !== undefined && now <= decisionEnd(mute)) return 'a person muted this image'
  if (release === undefined || now > decisionEnd(release)) return undefined
  if (release.as === 'accepted') return 'a person accepted it in this image'
  return silences(verdict, act) ? 'a person called it a false positive' : undefined
}

/** Whether the false positive of this verdict covers the act at `now`, for whatever image of its repositories. */
export function mutesActs(
  verdict: Pick<ImageVerdict, 'release' | 'muted'>,
  act: Muted['acts'][number],
  now: number,
): boolean {
  return verdict.release !== undefined && now <= decisionEnd(verdict.release) && silences(verdict, act)
}

function silences({ release, muted }: Pick<ImageVerdict, 'release' | 'muted'>, act: Muted['acts'][number]): boolean {
  if (release?.as !== 'false-positive' || muted?.at !== release.at) return false
  return muted.acts.some(({ class: name, target }) => name === act.class && target === act.target)
}

/** Each once, as many of the first as fit. */
function fitting<Item>(items: readonly Item[]): readonly Item[] {
  const kept = new Map<string, Item>()
  let left = MAX_MUTED_BYTES
  for (const item of items) {
    const text = JSON.stringify(item)
    const bytes = Buffer.byteLength(text) + 1
    if (kept.has(text) || bytes > left) continue
    left -= bytes
    kept.set(text, item)
  }
  return [...kept.values()]
}
