/**
 * What to do next about the certificates that all replicas share: pure decisions from what is stored, what clients trust, and the time (rule 22).
 *
 * Every step is one write that any replica can do and any replica can go on from. Two clocks: the wall clock says whether a certificate is valid, the
 * monotonic one of this replica how long something has been seen. A wait is therefore never cut short by a clock that jumps or by another replica's clock
 * that differs; a replica that starts again waits again.
 */

/** Milliseconds since the epoch. */
export interface Validity {
  readonly from: number
  readonly to: number
}

/** What is known of an authority and the serving certificate that it issued. */
export interface Generation {
  /** The authority's certificate; tells one from another. */
  readonly authority: string
  readonly authorityValidity: Validity
  /** Why the authority is of no use at any time: unreadable, not its key. */
  readonly authorityDamage?: string | undefined
  /** The serving certificate; tells one from another. */
  readonly leaf: string
  readonly leafValidity: Validity
  /** Why the serving certificate is of no use at any time: unreadable, not its key, not signed by the authority, a name that it does not cover. */
  readonly leafDamage?: string | undefined
}

/** What the replicas share. `G` is a generation with whatever the caller keeps beside it. */
export interface Shared<G> {
  /** What is to be served. */
  readonly current: G
  /** What will be served when every client has had the time to learn of its authority. */
  readonly next?: G | undefined
  /** Authorities that were current, and that a replica may still serve by. */
  readonly previous: readonly string[]
}

/** The authorities that each webhook of the configurations trusts; undefined: could not be read. Empty: there is none that would ask. */
export type LiveBundles = readonly (readonly string[])[] | undefined

/** What this replica has seen, and since when on its monotonic clock. */
export interface Observed {
  /** By authority: in every bundle without a break, and without a change of the bundles that could hide one. */
  readonly trustedSince: ReadonlyMap<string, number>
  /** Of the bundles, as they were seen last. */
  readonly version?: string | undefined
  /** The same current and previous authorities without a break. */
  readonly steady?: { readonly of: string; readonly since: number } | undefined
}

export interface Situation {
  /** Undefined: nothing there. `damage`: something is there and of no use. */
  readonly stored: Shared<Generation> | { readonly damage: string } | undefined
  /** What was stored when it was last good, as this replica remembers it. */
  readonly remembered?: Shared<Generation> | undefined
  /** What this replica serves now. */
  readonly serving?: Generation | undefined
  readonly live: LiveBundles
  readonly observed: Observed
  /** Wall clock. */
  readonly now: number
  /** Monotonic. */
  readonly tick: number
  /** How long every client may take to learn of a new bundle, milliseconds. */
  readonly propagation: number
  /** How long a replaced authority stays trusted, milliseconds. */
  readonly keepPrevious: number
}

export type Step =
  /**
   * Make an authority and its certificate, at once: there is nothing, or nothing to go on with. `trust`: stays in the bundle, because others may serve by
   * it.
   */
  | { readonly kind: 'create' | 'replace'; readonly reason: string; readonly trust: readonly string[] }
  /** Store again what this replica remembers. */
  | { readonly kind: 'restore'; readonly reason: string }
  /** A new serving certificate of the same authority: whoever trusts the old one trusts it. */
  | { readonly kind: 'renew'; readonly reason: string; readonly keepNames: boolean }
  /** Make the next authority and its certificate, to be published before it is used. */
  | { readonly kind: 'stage'; readonly reason: string }
  /** Keep trusting what this replica still serves by. */
  | { readonly kind: 'trust'; readonly authority: string }
  /** The next generation becomes the current one. */
  | { readonly kind: 'promote'; readonly reason: string }
  /** Nobody serves by the previous authorities any more. */
  | { readonly kind: 'retire' }
  | { readonly kind: 'rest' }

/** More than these would make the bundle grow without bound when somebody replaces the Secret again and again. */
const MAX_PREVIOUS = 3

export const NOTHING_OBSERVED: Observed = { trustedSince: new Map() }

/** Why a certificate is not valid at a time; undefined when it is. */
function outside({ from, to }: Validity, now: number): string | undefined {
  if (!(now >= from)) return `is not valid before ${iso(from)}`
  if (!(now < to)) return `expired at ${iso(to)}`
  return undefined
}

function iso(time: number): string {
  return Number.isFinite(time) && Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : 'an unknown time'
}

/** Less than a third of its lifetime is left. */
const isDue = ({ from, to }: Validity, now: number): boolean => to - now < (to - from) / 3

/** Why an authority cannot be used now. */
export function authorityProblem(generation: Generation, now: number): string | undefined {
  return generation.authorityDamage ?? outside(generation.authorityValidity, now)
}

/** Why a generation cannot be served now. */
export function servingProblem(generation: Generation, now: number): string | undefined {
  const authority = authorityProblem(generation, now)
  if (authority !== undefined) return `its authority ${authority}`
  return generation.leafDamage ?? outside(generation.leafValidity, now)
}

/** The previous authorities with these added, newest first, without those that are in use. */
export function previousWith(shared: Shared<Generation>, added: readonly string[]): readonly string[] {
  const used = new Set([shared.current.authority, shared.next?.authority])
  return [...new Set([...added, ...shared.previous])].filter((one) => !used.has(one)).slice(0, MAX_PREVIOUS)
}

/** What clients should trust: current, next, previous. */
export function bundleOf(shared: Shared<Generation>): readonly string[] {
  const { current, next, previous } = shared
  return [...new Set([current.authority, ...(next === undefined ? [] : [next.authority]), ...previous])]
}

const isGood = (stored: Situation['stored']): stored is Shared<Generation> =>
  stored !== undefined && !('damage' in stored)

/** Whether every webhook trusts an authority; undefined: not known. Where there is no webhook nobody fails to. */
export function isTrusted(live: LiveBundles, authority: string): boolean | undefined {
  return live?.every((bundle) => bundle.includes(authority))
}

/**
 * Adds what is seen now to what was seen before.
 *
 * @param version another one after every change of the bundles: what was overwritten and put back between two looks is waited for again
 */
export function observe(
  before: Observed,
  { stored, live, tick }: Pick<Situation, 'stored' | 'live' | 'tick'>,
  version?: string,
): Observed {
  const authorities = isGood(stored) ? bundleOf(stored) : []
  const trusted = authorities.filter((authority) => isTrusted(live, authority) === true)
  const of = isGood(stored) ? JSON.stringify([stored.current.authority, stored.previous]) : ''
  return {
    trustedSince: new Map(
      trusted.map((authority) => [
        authority,
        (before.version === version ? before.trustedSince.get(authority) : undefined) ?? tick,
      ]),
    ),
    version,
    steady: before.steady?.of === of ? before.steady : { of, since: tick },
  }
}

function hasPropagated({ observed, tick, propagation }: Situation, authority: string): boolean {
  const since = observed.trustedSince.get(authority)
  return since !== undefined && tick - since >= propagation
}

/**
 * Whether this replica should now serve what is stored as current. It keeps what it has until every client trusts the new one, unless what it has is of no
 * use: expired, or not trusted while the new one is.
 */
export function shouldServeCurrent(situation: Situation): boolean {
  const { stored, serving, live, observed, now, tick, propagation } = situation
  if (!isGood(stored) || servingProblem(stored.current, now) !== undefined) return false
  const { current } = stored
  if (serving === undefined) return true
  if (serving.leaf === current.leaf) return false
  if (serving.authority === current.authority || servingProblem(serving, now) !== undefined) return true
  if (hasPropagated(situation, current.authority)) return true
  const isServingTrusted = isTrusted(live, serving.authority)
  if (isServingTrusted === undefined) {
    // The configurations cannot be read here; who made this current could.
    return observed.steady !== undefined && tick - observed.steady.since >= propagation
  }
  return !isServingTrusted && isTrusted(live, current.authority) === true
}

/** What to do next to what is stored. The bundle is to be kept at `bundleOf` besides. */
export function nextStep(situation: Situation): Step {
  const { stored, remembered, serving, live, observed, now, tick, keepPrevious } = situation
  const canRestore = remembered !== undefined && servingProblem(remembered.current, now) === undefined
  // Another replica may serve by what clients trust now.
  const trust = [...new Set([...(serving === undefined ? [] : [serving.authority]), ...(live ?? []).flat()])].slice(
    0,
    MAX_PREVIOUS,
  )
  if (!isGood(stored)) {
    const reason = stored === undefined ? 'there is none' : stored.damage
    if (canRestore) return { kind: 'restore', reason }
    return { kind: stored === undefined ? 'create' : 'replace', reason, trust }
  }
  const { current, next, previous } = stored
  const problem = authorityProblem(current, now)
  const isNextGood = next !== undefined && servingProblem(next, now) === undefined
  if (problem !== undefined) {
    const reason = `the authority ${problem}`
    if (isNextGood) return { kind: 'promote', reason }
    if (canRestore && remembered.current.authority !== current.authority) return { kind: 'restore', reason }
    return { kind: 'replace', reason, trust }
  }
  if (current.leafDamage !== undefined) return { kind: 'renew', reason: current.leafDamage, keepNames: true }
  const expired = outside(current.leafValidity, now)
  if (expired !== undefined) return { kind: 'renew', reason: `it ${expired}`, keepNames: false }
  if (isDue(current.leafValidity, now))
    return { kind: 'renew', reason: 'less than a third of its lifetime is left', keepNames: false }
  if (serving !== undefined && !bundleOf(stored).includes(serving.authority) && !servingProblem(serving, now))
    return { kind: 'trust', authority: serving.authority }
  if (next !== undefined && !isNextGood) {
    return { kind: 'stage', reason: `the next certificate cannot be used: ${servingProblem(next, now)}` }
  }
  if (next === undefined && isDue(current.authorityValidity, now))
    return { kind: 'stage', reason: 'less than a third of the lifetime of the authority is left' }
  if (next !== undefined && hasPropagated(situation, next.authority))
    return { kind: 'promote', reason: 'every client has learnt of its authority' }
  const isSteady = observed.steady !== undefined && tick - observed.steady.since >= keepPrevious
  const isServingOld = serving !== undefined && previous.includes(serving.authority)
  if (previous.length > 0 && isSteady && !isServingOld) return { kind: 'retire' }
  return { kind: 'rest' }
}
