/**
 * From alerts to verdicts: attribute -> dedupe -> contribute -> decide -> write. The stages are pure; this file strings them together with a store,
 * what the cluster knows of its containers, and a clock.
 *
 * Longer than 300 lines because this is the one place where the stages, their order and the state that they share can be seen together.
 */
import { LRUCache } from 'lru-cache'
import { classify, mayWeigh } from '../alerts/classes.ts'
import { cleanText } from '../alerts/text.ts'
import type { RuntimeAlert } from '../alerts/types.ts'
import { isConfirmed } from '../verdicts/decisions.ts'
import { isExpired, THRESHOLDS } from '../verdicts/phase.ts'
import { EVERYWHERE, type UsesOf } from '../verdicts/reach.ts'
import { MAX_REASON } from '../verdicts/serialize.ts'
import {
  StoreBusyError,
  type Decision,
  type ImageVerdict,
  type Release,
  type VerdictChange,
  type VerdictStore,
} from '../verdicts/types.ts'
import { CORRELATOR_LIMITS, type Correlator, type CorrelatorLimits, type CorrelatorOptions } from './api.ts'
import { attributeByClaim, attributeByCluster, type Attribution, type ImageIdentity } from './attribute.ts'
import { createBudget } from './budget.ts'
import {
  actTarget,
  countedTime,
  effectOf,
  factsOf,
  filedEffects,
  ownVerdicts,
  verdictNameFor,
  type Effect,
} from './contribute.ts'
import { extendVerdict, isWorthSettling, settleVerdict, withDecision, type VerdictPolicy } from './decide.ts'
import { createSeenEvents, isAlreadyDurable, isBeforeRelease } from './dedupe.ts'
import { createHold } from './holds.ts'
import { createLedger } from './ledger.ts'
import { silencedBy } from './mutes.ts'
import { createNames } from './names.ts'
import { attempt, createOnce } from './once.ts'
import { createMemoryParkingLot } from './parkingLot.ts'
import type { ContainerRecord, Outcome, ParkedAlert } from './types.ts'
import { createRoom } from './room.ts'
import { createSenderLimits, timeRefused } from './senderLimits.ts'
import { createTags } from './tags.ts'
import { createUpkeep } from './upkeep.ts'
import { createWaiting } from './waiting.ts'
import { createWaitingEvidence } from './waitingEvidence.ts'
import { createWriter, NoRoomError, NoSuchVerdictError } from './writer.ts'

/** See Correlator (api.ts) for what each method promises. */
export function createCorrelator(options: CorrelatorOptions): Correlator {
  const { store, directory, clock, observe = {} } = options
  const limits: CorrelatorLimits = { ...CORRELATOR_LIMITS, ...options.limits }
  // Standalone nobody could confirm what waits, and the namespaces are only what alerts claim.
  const limited = directory === undefined ? undefined : options.reach?.budget
  const budget = createBudget(limited ?? { perNamespace: Infinity, perCluster: Infinity })
  const tags = createTags(limits.tags)
  // A name that has a verdict of its own has no digests in it (see ownVerdicts), but somebody may run it.
  const usesOf: UsesOf | undefined =
    directory === undefined
      ? undefined
      : ({ digests, references }) =>
          directory.usesOf(digests.length > 0 ? digests : references.flatMap((name) => tags.digestsOf(name)))
  const policy: VerdictPolicy = {
    thresholds: { ...THRESHOLDS, ...options.thresholds },
    reach:
      options.reach === undefined
        ? EVERYWHERE
        : {
            mode: options.reach.mode,
            usesOf,
            hold: createHold({ protected: options.reach.protected, budget, usesOf }),
          },
  }
  const parking = options.parking ?? createMemoryParkingLot()

  const ledger = createLedger((name) => store.get(name))
  const listeners = new Set<(change: VerdictChange) => void>()
  const seen = createSeenEvents(limits.seenEvents)
  const parked = createWaiting((alert) => classify(alert, options.rules).class)
  const unattributed: Outcome[] = []
  const waitingEvidence = createWaitingEvidence()
  const evidenceWrittenAt = new LRUCache<string, number>({ max: 10_000 })
  const senders = createSenderLimits(options.verdictsPerHour ?? (() => undefined), clock)
  let stopWatching: (() => void) | undefined

  const publish = (change: VerdictChange): void => {
    if (change.verdict !== undefined && change.verdict === ledger.applied(change.name)) return
    ledger.apply(change)
    budget.note(change, clock())
    for (const listener of listeners) listener(change)
  }

  /** Others' changes come by `watch`, perhaps faster than the answer to an own write: then that answer is the older value. */
  const write: VerdictStore['write'] = async (name, update) => {
    const before = ledger.get(name)
    const verdict = await store.write(name, update)
    if (ledger.get(name) === before) publish({ name, verdict })
    return verdict
  }

  const room = createRoom({ ledger, store, onRemoved: (name) => publish({ name }), clock })

  const writer = createWriter({
    write,
    maxWaiting: limits.waitingChanges,
    extend: (name, current, facts) => extendVerdict(name, current, facts, clock(), policy),
    takeAlong: (name) => waitingEvidence.take(name),
    putBack: (name, { evidence }) => waitingEvidence.add(name, evidence),
    onWritten: (verdict, from) => {
      if (from !== verdict.phase) observe.phaseChanged?.(verdict, from)
    },
    makeRoom: (wanted) => room.make(wanted),
  })

  const inBackground = async (task: string, work: Promise<unknown>): Promise<void> => {
    try {
      await work
    } catch (error) {
      if (!(error instanceof NoSuchVerdictError)) observe.backgroundFailed?.(task, error)
    }
  }

  const settle = (current: ImageVerdict): ImageVerdict => settleVerdict(current, clock(), policy)

  const upkeep = createUpkeep({
    ledger,
    settle,
    submit: (task, name, change) => inBackground(task, writer.submit(name, change)),
    usesOf,
    onExpiresSoon: (verdict) => observe.expiresSoon?.(verdict),
    clock,
  })

  const names = createNames({
    ledger,
    tags,
    directory,
    submit: (name, change) => writer.submit(name, change),
    extend: (current, facts) => extendVerdict(current.name, current, facts, clock(), policy),
    onJoined: (verdict, reference) => observe.nameJoined?.(verdict, reference),
    clock,
  })

  /** A change by another replica, or by a person with kubectl: their release is a fact from which the phase follows. */
  const onStoreChange = (change: VerdictChange): void => {
    publish(change)
    const { verdict } = change
    const now = clock()
    if (verdict === undefined || (isExpired(verdict, now) && !isConfirmed(verdict, now))) return
    if (!isWorthSettling(verdict, settleVerdict(verdict, now, policy))) return
    void inBackground('settle', writer.submit(change.name, { step: settle }))
  }

  const decided = (outcome: Outcome): Outcome => {
    observe.alertDecided?.(outcome)
    return outcome
  }

  const keepUnattributed = (alert: RuntimeAlert, reason: string): Outcome => {
    const outcome: Outcome = { alert, decision: 'unattributed', reason }
    unattributed.push(outcome)
    if (unattributed.length > limits.unattributed) unattributed.shift()
    return outcome
  }

  const attribute = (alert: RuntimeAlert, lastChance: boolean): Attribution =>
    directory === undefined
      ? attributeByClaim(alert, options.parseReference)
      : attributeByCluster(alert, directory, lastChance)

  const nameFor = (image: ImageIdentity): string | undefined =>
    verdictNameFor(image, directory === undefined ? undefined : (digest) => ledger.nameByDigest(digest))

  /** Evidence that changes nothing else: kept for the verdict's next write, or for the sweep. Where there is no verdict it is dropped. */
  const keepEvidence = (known: ImageVerdict | undefined, effect: Effect): void => {
    if (known !== undefined) waitingEvidence.add(known.name, effect.evidence)
  }

  /** Resolves when the effect is durable, also in verdicts of names that found no room in the first. */
  const submit = async (name: string, effect: Effect): ReturnType<typeof writer.submit> => {
    const written = await writer.submit(name, { facts: factsOf([effect]) })
    const own = ownVerdicts(written.verdict, effect)
    await Promise.all(own.map((filed) => writer.submit(filed.name, { facts: factsOf([filed.effect]) })))
    return written
  }

  /** The alert's image is known: contribute, or say why not. Only the former waits: nearly every alert of a flood changes nothing. */
  const contribute = (alert: RuntimeAlert, image: ImageIdentity, receivedAt: number): Outcome | Promise<Outcome> => {
    const name = nameFor(image)
    if (name === undefined) return keepUnattributed(alert, 'the image has no digest and no name')
    const classification = classify(alert, options.rules, image)
    const { time, tooOld, implausible } = countedTime(alert, receivedAt)
    const known = ledger.get(name)
    const withoutWeight = ((): Pick<Outcome, 'decision' | 'reason'> | undefined => {
      if (tooOld) return { decision: 'too-old', reason: 'the event is older than 24 h: evidence without weight' }
      const { class: className, subject } = classification
      if (classification.weight === 0)
        return { decision: 'no-weight', reason: `${className} (${subject}) weighs nothing` }
      const silenced = silencedBy(ledger, image, known, { class: className, target: actTarget(alert) }, clock())
      if (silenced !== undefined) return { decision: 'muted', reason: `${className}: ${silenced}` }
      // Last, because it is counted: what the sender may accuse in an hour.
      return timeRefused(implausible, known) ?? senders.refuse(alert, image.node, name, known)
    })()
    const weight = withoutWeight === undefined ? classification.weight : 0
    const effect = effectOf(alert, { ...classification, weight }, image, time)
    const outcome = { alert, ...(known === undefined ? {} : { verdict: name, phase: known.phase }) }
    if (withoutWeight !== undefined) {
      keepEvidence(known, effect)
      return { ...outcome, ...withoutWeight }
    }
    // What holds all names of the effect is all that it is filed in.
    const isDurable =
      isAlreadyDurable(known, effect, clock()) ||
      filedEffects(name, effect, known).every((filed) =>
        isAlreadyDurable(ledger.get(filed.name), filed.effect, clock()),
      )
    if (isDurable) {
      keepEvidence(known, effect)
      const reason = isBeforeRelease(known, effect)
        ? 'earlier than the release: it does not count (is the clock of its node behind?)'
        : 'the ledger already holds this effect'
      return { ...outcome, decision: 'repeat', reason }
    }
    return submit(name, effect).then(
      ({ verdict, crossed }): Outcome => {
        const reason = `${classification.class} weighs ${weight}; ${verdict.reason}`
        return { alert, decision: 'contributed', reason, verdict: name, phase: verdict.phase, crossed }
      },
      (error: unknown): Outcome => {
        if (error instanceof NoRoomError) return { ...outcome, decision: 'no-room', reason: error.message }
        throw error
      },
    )
  }

  /** An image alert whose container is unknown waits; one without weight is not worth the wait. */
  const park = async (alert: RuntimeAlert, key: string, receivedAt: number, reason: string): Promise<Outcome> => {
    const { tooOld } = countedTime(alert, receivedAt)
    if (tooOld) return { alert, decision: 'too-old', reason: `${reason}; the event is older than 24 h` }
    if (!mayWeigh(alert, options.rules))
      return {
        alert,
        decision: 'no-weight',
        reason: `${reason}; ${classify(alert, options.rules).class} weighs nothing`,
      }
    if (parked.isFull(alert))
      return keepUnattributed(alert, `${reason}; enough alerts of this rule and container wait already`)
    const entry: ParkedAlert = { id: key, alert, since: receivedAt }
    // Before the write: the others of the request must see that it has its place.
    parked.add(entry)
    try {
      await parking.park([entry])
    } catch (error) {
      parked.delete(key)
      // Other alerts of the request must not fail because nobody knows this container.
      if (error instanceof StoreBusyError) return keepUnattributed(alert, `${reason}; ${error.message}`)
      throw error
    }
    return { alert, decision: 'parked', reason }
  }

  const handleOne = (alert: RuntimeAlert, key: string, receivedAt: number): Outcome | Promise<Outcome> => {
    const attribution = attribute(alert, false)
    if (attribution.kind === 'image') return contribute(alert, attribution.image, receivedAt)
    if (attribution.kind === 'unknown') return park(alert, key, receivedAt, attribution.reason)
    if (attribution.kind === 'unresolved') return keepUnattributed(alert, attribution.reason)
    return { alert, decision: 'host', reason: 'a process outside any container' }
  }

  const handleOnce = createOnce(seen, handleOne, decided)

  /** Tries a parked alert again; `lastChance`: it leaves the lot either way. */
  const retry = async (entry: ParkedAlert, lastChance: boolean): Promise<void> => {
    const attribution = attribute(entry.alert, lastChance)
    if (attribution.kind === 'unknown' && !lastChance) return
    // Taken out first, so that a pod event and the sweep do not both do it; put back if the ledger refuses.
    if (!parked.delete(entry.id)) return
    try {
      const outcome =
        attribution.kind === 'image'
          ? await contribute(entry.alert, attribution.image, entry.since)
          : keepUnattributed(entry.alert, attribution.kind === 'host' ? 'a host process' : attribution.reason)
      await parking.remove([entry.id])
      seen.settle(entry.id, outcome.decision)
      decided(outcome)
    } catch (error) {
      parked.add(entry)
      throw error
    }
  }

  const sweep = async (): Promise<void> => {
    const now = clock()
    await upkeep.sweep()
    await inBackground('update names', names.sweep())
    await inBackground('delete expired', room.removeExpired(limits.expiredMs))
    for (const entry of parked.list()) {
      await inBackground('retry parked', retry(entry, now - entry.since > limits.parkedMs))
    }
    for (const name of waitingEvidence.names()) {
      if (now - (evidenceWrittenAt.get(name) ?? 0) < limits.evidenceMs) continue
      evidenceWrittenAt.set(name, now)
      await inBackground('write evidence', writer.submit(name, { step: (current) => current }))
    }
  }

  const decide = async (
    name: string,
    decision: Parameters<typeof withDecision>[1],
    at: number,
  ): Promise<ImageVerdict> => {
    const step = (current: ImageVerdict): ImageVerdict => withDecision(current, decision, at, policy)
    return (await writer.submit(name, { step })).verdict
  }

  return {
    start: async () => {
      stopWatching = store.watch(onStoreChange)
      const problems = await store.load((verdicts) => {
        for (const verdict of verdicts)
          if (ledger.get(verdict.name) === undefined) publish({ name: verdict.name, verdict })
        return options.onLoaded?.()
      })
      for (const entry of await parking.list()) {
        parked.add(entry)
        seen.add(entry.id)
      }
      return problems
    },
    handle: async (alerts) => {
      const receivedAt = clock()
      const results = Array.from(alerts, (alert) => attempt(() => handleOnce(alert, receivedAt)))
      if (!results.some((result) => result instanceof Promise)) return results as readonly Outcome[]
      const settled = await Promise.allSettled(results.map((result) => Promise.resolve(result)))
      const failures = settled.filter((result) => result.status === 'rejected')
      const failure = failures.find(({ reason }) => reason instanceof StoreBusyError) ?? failures[0]
      if (failure !== undefined) throw failure.reason
      return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    },
    observeContainer: async (record) => {
      await inBackground('update names', names.update(record))
      for (const entry of parked.list()) {
        if (mayBelongTo(entry, record)) await inBackground('retry parked', retry(entry, false))
      }
    },
    sweep,
    list: () => [...ledger.verdicts()].sort((left, right) => (left.name < right.name ? -1 : 1)),
    entries: () => ledger.entries(),
    get: (name) => ledger.get(name),
    find: (image, now, namespace) => ledger.find(image, now, namespace),
    waiting: () => ({ alerts: parked.size(), changes: writer.waiting(), evidence: waitingEvidence.size() }),
    unattributed: () => [...unattributed],
    release: (name, { as, ...said }) => {
      const release: Release = { ...decisionOf(said, clock()), as }
      return decide(name, { release }, release.at)
    },
    confirm: (name, said) => {
      const confirm = decisionOf(said, clock())
      return decide(name, { confirm }, confirm.at)
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop: async () => {
      for (const name of waitingEvidence.names()) {
        void inBackground('write evidence', writer.submit(name, { step: (current) => current }))
      }
      await writer.idle()
      stopWatching?.()
    },
  }
}

function decisionOf({ by, reason, until }: Omit<Decision, 'at'>, at: number): Decision {
  return {
    by: cleanText(by, MAX_REASON),
    reason: cleanText(reason, MAX_REASON),
    at,
    ...(until === undefined ? {} : { until }),
  }
}

function mayBelongTo({ alert }: ParkedAlert, record: ContainerRecord): boolean {
  return alert.containerId === undefined
    ? alert.namespace === record.namespace && alert.pod === record.pod
    : record.containerId.startsWith(alert.containerId)
}
