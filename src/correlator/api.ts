/** What goes into the correlator and what it promises. */
import type { ClassifyOptions } from '../alerts/classes.ts'
import type { RuntimeAlert } from '../alerts/types.ts'
import type { Ledger, LedgerEntry } from './ledger.ts'
import type { ParseReference } from '../verdicts/name.ts'
import type { Thresholds } from '../verdicts/phase.ts'
import type { ReachRules } from '../verdicts/reach.ts'
import type { Decision, ImageVerdict, Phase, Release, VerdictChange, VerdictStore } from '../verdicts/types.ts'
import type { BudgetLimits } from './budget.ts'
import type { Protected } from './holds.ts'
import type { ContainerDirectory, ContainerRecord, Outcome, ParkingLot } from './types.ts'

/** Called for what happens; each must be quick and must not throw. */
export interface CorrelatorEvents {
  /** Every alert once per decision: a parked one again when its wait is over. */
  readonly alertDecided?: (outcome: Outcome) => void
  /** A write of this correlator changed a phase; the loser of a race says nothing. */
  readonly phaseChanged?: (verdict: ImageVerdict, from: Phase | undefined) => void
  /** A verdict that warns or denies ends within 72 h if nothing more is reported. Once for each end, by each replica. */
  readonly expiresSoon?: (verdict: ImageVerdict) => void
  /** A flagged image runs under a name that its verdict did not have: what runs cannot be stopped, the next pod of that name is judged. */
  readonly nameJoined?: (verdict: ImageVerdict, reference: string) => void
  /** A write that nobody waits for failed: it is tried again with the next event or sweep. */
  readonly backgroundFailed?: (task: string, error: unknown) => void
}

export interface CorrelatorLimits {
  /** Events remembered against replays: no more than these, and no fewer than the last half of them. */
  readonly seenEvents: number
  /** Alerts without an image that are kept for people to look at. */
  readonly unattributed: number
  /** Changes that may wait for the store. */
  readonly waitingChanges: number
  /** Tags whose newest image is remembered. */
  readonly tags: number
  /** How long an alert waits for its container, milliseconds. */
  readonly parkedMs: number
  /** Least time between two evidence-only writes of one verdict, milliseconds. */
  readonly evidenceMs: number
  /** How long an expired verdict stays visible, milliseconds. */
  readonly expiredMs: number
}

export const CORRELATOR_LIMITS: CorrelatorLimits = {
  seenEvents: 50_000,
  unattributed: 1000,
  waitingChanges: 10_000,
  tags: 20_000,
  parkedMs: 120_000,
  evidenceMs: 10_000,
  expiredMs: 24 * 3600_000,
}

/** Where verdicts hold, and which wait for a person (rule 18). */
export interface ReachSettings {
  readonly mode: ReachRules['mode']
  readonly protected: Protected
  /** Without meaning standalone. */
  readonly budget: BudgetLimits
}

export interface CorrelatorOptions {
  readonly store: VerdictStore
  /** What the cluster knows of containers. Absent: standalone, the alert's own image reference is the identity. */
  readonly directory?: ContainerDirectory | undefined
  /** Where alerts wait for their container; absent: in memory. */
  readonly parking?: ParkingLot | undefined
  readonly parseReference: ParseReference
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  readonly rules?: ClassifyOptions | undefined
  readonly thresholds?: Partial<Thresholds> | undefined
  /** Absent: verdicts hold everywhere at once and none waits for a person. */
  readonly reach?: ReachSettings | undefined
  readonly limits?: Partial<CorrelatorLimits> | undefined
  /** Verdicts that a credential may begin or raise in an hour, by its name; undefined: as many as it likes. */
  readonly verdictsPerHour?: ((credential: string) => number | undefined) | undefined
  readonly observe?: CorrelatorEvents | undefined
  /** After each page of the ledger that is loaded; the next one waits for it. */
  readonly onLoaded?: (() => Promise<unknown>) | undefined
}

export interface Correlator {
  /** Loads the ledger and watches it; resolves to problems found in it, one line each. Call before anything else. */
  start(): Promise<readonly string[]>
  /**
   * Resolves, with one outcome per alert in the same order, only when every effect would survive SIGKILL. Rejects with StoreBusyError (answer 503) or
   * the store's error; sending the same alerts again is then harmless. To read the next alert must not throw.
   */
  handle(alerts: Iterable<RuntimeAlert>): Promise<readonly Outcome[]>
  /** A pod status showed this container, and the directory already knows it. Never rejects. */
  observeContainer(record: ContainerRecord): Promise<void>
  /** Expiry, parked alerts whose time is over, evidence that waits. Called every few seconds by a timer at the edge. Never rejects. */
  sweep(): Promise<void>
  /** All verdicts, by name. */
  list(): readonly ImageVerdict[]
  /** Of all verdicts what is in memory. */
  entries(): Iterable<LedgerEntry>
  get(name: string): ImageVerdict | undefined
  /** The verdict that speaks of an image, as admission will find it. */
  readonly find: Ledger['find']
  /** What waits, as numbers: alerts for their container, changes for the store, evidence for its next write. */
  waiting(): { readonly alerts: number; readonly changes: number; readonly evidence: number }
  /** The newest alerts for which no image was found, with the reason. */
  unattributed(): readonly Outcome[]
  /** Rejects with NoSuchVerdictError. */
  release(name: string, decision: Omit<Release, 'at'>): Promise<ImageVerdict>
  /** Denies the image everywhere, whatever its score. Rejects with NoSuchVerdictError. */
  confirm(name: string, decision: Omit<Decision, 'at'>): Promise<ImageVerdict>
  /** Every change of the ledger, own and others'; what `start` loads is told, too. Returns a function that stops. */
  onChange(listener: (change: VerdictChange) => void): () => void
  /** Writes what waits and stops listening; the store stays open. */
  stop(): Promise<void>
}
