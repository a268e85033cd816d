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
  /** Every known digest of the image that ran: `sha256:<64 hex>`; at least one. */
  readonly digests: readonly string[]
  /** Owner workload: `namespace/Kind/name`, for example `shop/Deployment/web`. */
  readonly owner: string
  /** Milliseconds since the epoch. */
  readonly firstSeen: number
  /** Last time that a status showed this id; ids are kept 24 h longer. */
  readonly lastSeen: number
}

/** What the cluster knows of containers. Synchronous: answered from memory. */
export interface ContainerDirectory {
  /** Every container of the last 24 h whose id starts with `prefix` (12 to 64 hex characters), cluster-wide. */
  findById(prefix: string): readonly ContainerRecord[]
  /** Containers of one pod, by any of its names; `container` and `podUid` narrow it. */
  findByPod(namespace: string, pod: string, container?: string, podUid?: string): readonly ContainerRecord[]
}
