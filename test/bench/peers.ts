/**
 * What webhooks that cannot be built from public modules reach of the floor, requests per second at 16 connections. They were not measured by this program: each did the same work (inject
 * RuntimeDefault; refuse privileged, SYS_ADMIN and root) for the same two-container review of 5.9 KB, over TLS with kept connections, one after another on one
 * otherwise idle machine of two cores, with the bare Node server (Node 24) that stands at 1. Absolute figures of that machine would say nothing here.
 */
export const PEERS: readonly {
  readonly name: string
  readonly ofFloor: number
  /** How many times its requests per second Drawbridge should answer; of each project the quickest. */
  readonly times?: number
}[] = [
  { name: 'Kyverno 1.19, ClusterPolicy', ofFloor: 1119 / 7390, times: 6 },
  { name: 'Kyverno 1.19, CEL policies', ofFloor: 1075 / 7390 },
]
