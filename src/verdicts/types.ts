import type { Detector } from '../alerts/types.ts'

/** A phase in which admission warns or denies. */
export type FlaggedPhase = 'warning' | 'denying' | 'pending'
export type Phase = 'observing' | FlaggedPhase | 'released' | 'expired'

/** The one unit of the ledger. Times are milliseconds since the epoch. Merged by maximum weight, earlier first, later last. */
export interface Contribution {
  readonly class: string
  readonly detector: Detector
  /** Owner workload, for example `shop/Deployment/web`; standalone: `shop/<pod>` as the alert claims. */
  readonly owner: string
  readonly weight: number
  readonly first: number
  readonly last: number
  /** Counts in its owner's namespace only: the process may be of whoever wrote the pod, not of the image (rule 18). Absent: counts everywhere. */
  readonly own?: true | undefined
}

/** What a person is shown. Never a command line, an environment or a request body. */
export interface Evidence {
  /** The key of repeats: detector, rule, container id, target, hashed. */
  readonly key: string
  readonly detector: Detector
  readonly rule: string
  readonly priority: string
  readonly class: string
  readonly weight: number
  readonly time: number
  readonly namespace?: string | undefined
  readonly pod?: string | undefined
  readonly container?: string | undefined
  readonly node?: string | undefined
  readonly target?: string | undefined
  /** As Contribution.own: told to its own namespace only. */
  readonly own?: true | undefined
}

/** A person's decision; the machine never writes it. Times are milliseconds since the epoch. */
export interface Decision {
  readonly by: string
  readonly reason: string
  readonly at: number
  /** When it ends; bounded, see decisionEnd. Absent: 30 days after `at`. */
  readonly until?: number | undefined
}

/** Lets the image run again: only contributions later than `at` count. */
export interface Release extends Decision {
  readonly as: 'false-positive' | 'accepted' | 'fixed'
}

/** What a release as `false-positive` silences until it ends: these acts, in every image of these repositories (rule 19). */
export interface Muted {
  /** `at` of the release that this follows from; of another one it says nothing. */
  readonly at: number
  readonly repositories: readonly string[]
  readonly acts: readonly { readonly class: string; readonly target: string }[]
}

/** What admission does about an image. */
export type Answer = 'none' | 'warning' | 'denying'

/** Where a verdict holds, when that is not everywhere alike (rule 18). Both lists are sorted and bounded together. */
export interface Reach {
  /** In every namespace that no list names. */
  readonly elsewhere: Answer
  readonly denying: readonly string[]
  readonly warning: readonly string[]
}

/** One flagged (or watched) image. Immutable: every change makes a new value. */
export interface ImageVerdict {
  /** `sha256-<hex>`, or `ref-<hash>` while only a reference is known. */
  readonly name: string
  /** Each `sha256:<64 hex>` (or sha384, sha512): index, platform manifests, config ids. Those that alerts came with first (`alerted`), both parts sorted. */
  readonly digests: readonly string[]
  /** Normalised (`docker.io/library/nginx:1.25`). Those that alerts came with first (`alerted`), both parts sorted. */
  readonly references: readonly string[]
  /** How many of the first digests and references came with a contribution: names that were only observed never push these out. Absent: none. */
  readonly alerted?: { readonly digests: number; readonly references: number } | undefined
  /** By contributionKey; at most 64. */
  readonly contributions: Readonly<Record<string, Contribution>>
  /** The 5 strongest and the 5 newest. */
  readonly evidence: readonly Evidence[]
  readonly phase: Phase
  /** When the phase began, or when its denial last reached further. */
  readonly phaseSince: number
  /** Why the phase is what it is, one line for CLI, metrics and Events. */
  readonly reason: string
  readonly expiresAt: number
  readonly release?: Release | undefined
  /** A person says that the image is bad: it is denied everywhere. */
  readonly confirm?: Decision | undefined
  /** A person does not want to hear of this image: its alerts are kept without weight. */
  readonly mute?: Decision | undefined
  readonly muted?: Muted | undefined
  /** Absent: the phase holds in every namespace. */
  readonly reach?: Reach | undefined
}

/** The part of a verdict that grows by merging. Everything else of it is decided from this (phase.ts). */
export type VerdictFacts = Pick<
  ImageVerdict,
  'digests' | 'references' | 'alerted' | 'contributions' | 'evidence' | 'release' | 'confirm' | 'mute' | 'muted'
>

/** A change as a store reports it, own writes included. `verdict` undefined: deleted. */
export interface VerdictChange {
  readonly name: string
  readonly verdict?: ImageVerdict | undefined
}

/** The store is full or capped: the alert is answered 503 and counted. */
export class StoreBusyError extends Error {
  override readonly name = 'StoreBusyError'
  /** `true`: not for the moment but because it holds as many verdicts as it may. Then a verdict may have to give way. */
  readonly ledgerFull: boolean

  constructor(message: string, ledgerFull = false) {
    super(message)
    this.ledgerFull = ledgerFull
  }
}

/**
 * The durable ledger. Two real ones: SQLite, and ImageVerdict objects in the Kubernetes API.
 * `write` resolves only when the value would survive SIGKILL of this process.
 */
export interface VerdictStore {
  /**
   * Hands over all verdicts, page by page, the next one when `take` is done: together they may need more memory than there is. Resolves to what was found damaged, one line each; that is kept
   * aside, never lost silently.
   */
  load(take: (verdicts: readonly ImageVerdict[]) => void | Promise<unknown>): Promise<readonly string[]>
  /** One verdict as it is now, without waiting: from memory or a local file. */
  get(name: string): ImageVerdict | undefined
  /**
   * Conditional update of one verdict: `update` gets the newest stored value (undefined: none) and returns the next one,
   * or the same value for "nothing to do". It may be called again after a conflict, so it must be pure.
   * Resolves to the stored value. Throws StoreBusyError when capped, other errors when the store cannot be reached.
   */
  write(name: string, update: (current: ImageVerdict | undefined) => ImageVerdict): Promise<ImageVerdict>
  /**
   * Deletes one verdict if `mayRemove` says so of the newest stored value; resolves to whether it did. A store without it keeps
   * expired verdicts. Throws like `write`.
   */
  remove?(name: string, mayRemove: (current: ImageVerdict) => boolean): Promise<boolean>
  /**
   * Calls `onChange` for every change by anybody, own writes included. Returns a function that stops. Changes of one verdict come in the order in which they
   * were stored, and never one that is older than what this store's own `write` already resolved to: admission would be weaker for a moment.
   */
  watch(onChange: (change: VerdictChange) => void): () => void
  close(): Promise<void>
}
