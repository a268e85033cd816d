/**
 * Keeps the serving certificate in force: looks, decides (rotation.ts), does one thing, looks again. Everything outside is a port, so that a test can
 * crash it at any point.
 */
import type { KeyPair } from './authority.ts'
import { describeShared } from './generation.ts'
import type { Held, Material } from './generation.ts'
import { namesOf } from './pem.ts'
import {
  authorityProblem,
  bundleOf,
  isTrusted,
  nextStep,
  NOTHING_OBSERVED,
  observe,
  previousWith,
  servingProblem,
  shouldServeCurrent,
} from './rotation.ts'
import type { LiveBundles, Observed, Shared, Situation, Step } from './rotation.ts'

/** What the replicas share, as it was read. */
export interface StoredCertificates {
  readonly content: Shared<Material> | { readonly damage: string } | undefined
  /** Writes over exactly what was read. False: somebody was faster. Absent where something else keeps the certificates. */
  readonly replace?: ((content: Shared<Material>) => Promise<boolean>) | undefined
}

/** What the webhook configurations trust, as it was read. */
export interface StoredBundles {
  readonly bundles: readonly (readonly string[])[]
  /** Another one after every change. */
  readonly version: string
  /** Writes over exactly what was read. False: somebody was faster. */
  readonly replace: (bundle: readonly string[]) => Promise<boolean>
}

/** How certificates stand after a look at them. */
export interface CertificateStatus {
  readonly serving: Held
  /** Whether every webhook trusts what is served; undefined: not known. */
  readonly isTrusted: boolean | undefined
}

export interface KeeperOptions {
  readonly readStored: () => Promise<StoredCertificates>
  /** Absent where no API server calls. */
  readonly readBundles?: (() => Promise<StoredBundles>) | undefined
  /** Whether the bundles are ours to write. */
  readonly managesBundles: boolean
  readonly createAuthority: (now: number) => Promise<KeyPair>
  readonly issueLeaf: (authority: KeyPair, names: readonly string[], now: number) => Promise<KeyPair>
  readonly describe: (material: Material) => Held
  /** DNS names and addresses to be covered; the same for all replicas. */
  readonly names: readonly string[]
  /** Wall clock, milliseconds. */
  readonly now: () => number
  /** Monotonic, milliseconds. */
  readonly tick: () => number
  readonly propagation: number
  readonly keepPrevious: number
  /** Milliseconds between two writes of the bundles. */
  readonly bundleWriteInterval: number
  /** Takes a certificate into use; `trusted` is what clients should trust. */
  readonly serve: (held: Held, trusted: readonly string[]) => Promise<void>
  readonly onStep?: ((step: Step) => void) | undefined
  /** The bundles were written; `repaired`: they had been right before. */
  readonly onBundles?: ((repaired: boolean) => void) | undefined
  /** One line for people, every time. */
  readonly onProblem: (problem: string) => void
}

/** What one look may do at most; the rest is for the next one. */
const MAX_STEPS = 8
/** Where something else keeps the certificates nobody says which authorities have had their day: this many stay beside our own. */
const MAX_FOREIGN = 4

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((text, index) => text === other[index])

interface Memory {
  readonly observed: Observed
  readonly live: LiveBundles
  readonly remembered?: Shared<Held> | undefined
  readonly serving?: Held | undefined
  /** What clients were last said to trust. */
  readonly trusted: readonly string[]
  readonly bundlesWrittenAt?: number | undefined
  /** The bundle that every webhook was last seen to have, or was given. */
  readonly bundlesSeen?: readonly string[] | undefined
}

export interface Keeper {
  /** Looks and does what is to be done. Rejects when what is stored cannot be read or written; what is served stays. Not to be called twice at a time. */
  round(): Promise<CertificateStatus | undefined>
}

/** Begins with no memory; the first round takes what is stored into use, or makes it. */
export function createKeeper(options: KeeperOptions): Keeper {
  let memory: Memory = { observed: NOTHING_OBSERVED, live: undefined, trusted: [] }

  const readBundles = async (): Promise<StoredBundles | undefined> => {
    if (options.readBundles === undefined) return { bundles: [], version: '', replace: () => Promise.resolve(true) }
    try {
      return await options.readBundles()
    } catch (error) {
      options.onProblem(`the webhook configurations cannot be read: ${messageOf(error)}`)
      return undefined
    }
  }

  /** What the bundles should hold; undefined: they are right as they are. */
  const wanted = (shared: Shared<Held>, isOurs: boolean, live: LiveBundles): readonly string[] | undefined => {
    if (isOurs) return bundleOf(shared)
    // Replicas see a changed folder at different times: each adds its own and takes nothing away.
    const own = [
      ...new Set([shared.current.authority, ...(memory.serving === undefined ? [] : [memory.serving.authority])]),
    ]
    if (own.every((one) => isTrusted(live, one) === true)) return undefined
    const others = [...new Set((live ?? []).flat())].filter((one) => !own.includes(one))
    return [...own, ...others.slice(0, MAX_FOREIGN)]
  }

  const publish = async (read: StoredBundles, bundle: readonly string[]): Promise<void> => {
    // In whatever order: a write for that alone would be one more change to wait for.
    if (read.bundles.every((one) => isSame(one.toSorted(), bundle.toSorted()))) {
      if (read.bundles.length > 0) memory = { ...memory, bundlesSeen: bundle }
      return
    }
    const at = options.tick()
    if (memory.bundlesWrittenAt !== undefined && at - memory.bundlesWrittenAt < options.bundleWriteInterval) return
    memory = { ...memory, bundlesWrittenAt: at }
    try {
      if (!(await read.replace(bundle))) return
      const isRepair = isSame(memory.bundlesSeen?.toSorted() ?? [], bundle.toSorted())
      memory = { ...memory, bundlesSeen: bundle }
      options.onBundles?.(isRepair)
    } catch (error) {
      options.onProblem(`caBundle cannot be written: ${messageOf(error)}`)
    }
  }

  const takeIntoUse = async (held: Held, trusted: readonly string[]): Promise<void> => {
    if (memory.serving?.leaf === held.leaf && isSame(memory.trusted, trusted)) return
    await options.serve(held, trusted)
    memory = { ...memory, serving: held, trusted }
  }

  const make = async (names: readonly string[]): Promise<Material> => {
    const authority = await options.createAuthority(options.now())
    return { authority, leaf: await options.issueLeaf(authority, names, options.now()) }
  }

  /** What is to be stored after a step; undefined: nothing. */
  const perform = async (step: Step, shared: Shared<Held> | undefined): Promise<Shared<Material> | undefined> => {
    const { names } = options
    if (step.kind === 'create' || step.kind === 'replace') return { current: await make(names), previous: step.trust }
    const { current, next, previous } = (step.kind === 'restore' ? memory.remembered : shared)!
    const waiting = next === undefined ? {} : { next: next.material }
    switch (step.kind) {
      case 'restore':
        return { current: current.material, ...waiting, previous }
      case 'renew': {
        const { authority } = current.material
        const covered = step.keepNames ? namesOf(current.material.leaf.certificate) : []
        // With all names of the old one: a replica that is configured otherwise would renew it back.
        const leaf = await options.issueLeaf(
          { certificate: authority.certificate, key: authority.key ?? '' },
          [...new Set([...names, ...covered])],
          options.now(),
        )
        return { current: { authority, leaf }, ...waiting, previous }
      }
      case 'stage': {
        const covered = next === undefined ? [] : namesOf(next.material.leaf.certificate)
        return { current: current.material, next: await make([...new Set([...names, ...covered])]), previous }
      }
      case 'trust':
        return {
          current: current.material,
          ...waiting,
          previous: previousWith({ current, next, previous }, [step.authority]),
        }
      case 'promote': {
        const promoted: Shared<Held> = { current: next!, previous }
        return { current: next!.material, previous: previousWith(promoted, [current.authority]) }
      }
      case 'retire':
        return { current: current.material, ...waiting, previous: [] }
      case 'rest':
        break
    }
    return undefined
  }

  /** One look and at most one write of what is stored. Resolves to whether there may be more to do. */
  const look = async (): Promise<boolean> => {
    // The bundles first: when what is stored changes after that, they have changed too before a write of ours could undo it.
    const bundles = await readBundles()
    const stored = await options.readStored()
    const { content } = stored
    const shared = content === undefined || 'damage' in content ? undefined : describeShared(content, options.describe)
    const seen = { stored: shared ?? (content as { readonly damage: string } | undefined), live: bundles?.bundles }
    const tick = options.tick()
    memory = { ...memory, live: seen.live, observed: observe(memory.observed, { ...seen, tick }, bundles?.version) }
    const situation: Situation = {
      ...seen,
      ...memory,
      now: options.now(),
      tick,
      propagation: options.propagation,
      keepPrevious: options.keepPrevious,
    }
    if (shared !== undefined) {
      const trusted = bundleOf(shared)
      if (shouldServeCurrent(situation)) await takeIntoUse(shared.current, trusted)
      else if (memory.serving !== undefined) await takeIntoUse(memory.serving, trusted)
      if (authorityProblem(shared.current, situation.now) === undefined) {
        memory = { ...memory, remembered: shared }
        const bundle = wanted(shared, stored.replace !== undefined, bundles?.bundles)
        if (options.managesBundles && bundles !== undefined && bundle !== undefined) await publish(bundles, bundle)
      }
    }
    if (stored.replace === undefined) {
      if (shared === undefined) throw new Error('there are no certificates')
      const { current } = shared
      const problem = servingProblem(current, situation.now)
      if (memory.serving === undefined) {
        const damage = current.authorityDamage ?? current.leafDamage
        if (damage !== undefined) throw new Error(`the certificate cannot be used: ${damage}`)
        // Expired: who keeps it will renew it, and who looks at it can say what is wrong.
        await takeIntoUse(current, bundleOf(shared))
      }
      if (problem !== undefined) options.onProblem(`the certificate cannot be used: ${problem}`)
      return false
    }
    const step = nextStep({ ...situation, serving: memory.serving })
    const next = await perform(step, shared)
    if (next === undefined) return false
    if (await stored.replace(next)) options.onStep?.(step)
    return true
  }

  return {
    async round() {
      for (let steps = 0; steps < MAX_STEPS; steps += 1) if (!(await look())) break
      const { serving, live } = memory
      return serving === undefined ? undefined : { serving, isTrusted: isTrusted(live, serving.authority) }
    },
  }
}
