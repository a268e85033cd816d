import type { RuntimeAlert } from '../alerts/types.ts'
import type { ImageUse } from '../verdicts/reach.ts'
import type { Phase } from '../verdicts/types.ts'

/** One container that the cluster itself reported in a pod's status. The only thing that attribution trusts in a cluster. */
export interface ContainerRecord {
  /** Without the runtime's scheme: 64 hex characters. */
  readonly containerId: string
  readonly containerName: string
  readonly kind: 'init' | 'container' | 'ephemeral'
  readonly namespace: string
  readonly pod: string
  readonly podUid: string
  readonly node?: string | undefined
  /** The pod spec's image, normalised; never `status.image`, which may be another name of the same image. */
  readonly reference: string
  /** Every known digest of the image that ran: `sha256:<64 hex>` (or sha384, sha512); at least one. */
  readonly digests: readonly string[]
  /** Owner workload: `namespace/Kind/name`, for example `shop/Deployment/web`. */
  readonly owner: string
  /** Its pod sets `command` or `args`: what runs may be of whoever wrote the pod. Absent: it runs what the image says. */
  readonly overridesCommand?: true | undefined
  /** Its pod has priority class system-node-critical or system-cluster-critical. */
  readonly critical?: true | undefined
  /** Milliseconds since the epoch. */
  readonly firstSeen: number
}

/** What the cluster knows of containers. Synchronous: answered from memory. */
export interface ContainerDirectory {
  /** Every container of the last 24 h whose id starts with `prefix` (12 to 64 hex characters), cluster-wide. */
  findById(prefix: string): readonly ContainerRecord[]
  /** Containers of one pod, by any of its names; `container` and `podUid` narrow it. */
  findByPod(namespace: string, pod: string, container?: string, podUid?: string): readonly ContainerRecord[]
  /** Who ran an image that has any of these digests in the last 24 h: one entry for each owner workload, at most MAX_USES. */
  usesOf(digests: readonly string[]): readonly ImageUse[]
  /** Whether an image that has any of these digests ran under this normalised name in the last 24 h. */
  ranAs(digests: readonly string[], reference: string): boolean
}

/** Far more than any decision asks about. */
export const MAX_USES = 1000

/** What became of one alert. Stable: metric labels, and what `replay` and the alert endpoint report. */
export type AlertDecision =
  /** Its weight is in the ledger now. */
  | 'contributed'
  /** The same event arrived before, perhaps by another road. */
  | 'duplicate'
  /** The ledger already holds this effect: same class, detector and owner, no heavier, not noticeably later; or a release is later. */
  | 'repeat'
  /** Evidence at most: its rule weighs nothing. */
  | 'no-weight'
  /** Evidence at most: the event is older than 24 h. */
  | 'too-old'
  /** Evidence at most: the container runs on another node than the sender is bound to. */
  | 'wrong-node'
  /** Evidence at most: the sender has accused as many images within an hour as it may. */
  | 'over-budget'
  /** Evidence at most: its time says nothing, and a person's decision could be older or newer. */
  | 'implausible-time'
  /** It would only be observed, and the ledger is full of verdicts: not kept. */
  | 'no-room'
  /** A process outside any container: there is no image. */
  | 'host'
  /** Its container is not known yet: tried again for 120 s. */
  | 'parked'
  /** No image can be found for it; kept in one bounded list. */
  | 'unattributed'
  /** Evidence at most: a person's release or mute takes its weight away. */
  | 'muted'

export interface Outcome {
  readonly alert: RuntimeAlert
  readonly decision: AlertDecision
  /** One line for people. */
  readonly reason: string
  /** Name of the verdict that the alert belongs to, where there is one. */
  readonly verdict?: string | undefined
  readonly phase?: Phase | undefined
  /** This alert's write made the phase stricter: warning or denying began with it. */
  readonly crossed?: boolean | undefined
}

/** An alert that waits for its container to appear in a pod's status. */
export interface ParkedAlert {
  /** Hash of the event: parking twice is parking once. */
  readonly id: string
  readonly alert: RuntimeAlert
  /** When it was received, milliseconds since the epoch. */
  readonly since: number
}

/** Where alerts wait, surviving SIGKILL. Bounded: `park` throws StoreBusyError when full. */
export interface ParkingLot {
  park(alerts: readonly ParkedAlert[]): Promise<void>
  list(): Promise<readonly ParkedAlert[]>
  remove(ids: readonly string[]): Promise<void>
}

/** Alerts that wait at once; a burst of new pods parks a few hundred. */
export const MAX_PARKED = 10_000
