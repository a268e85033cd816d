/** Other webhooks in the same run, in turn with Drawbridge and the floor: those that can be built from public modules. */
import { startCluster } from '../cluster/harness.ts'
import { extentOf, startPair, warmUp } from './endpoint.ts'
import { compare, median, ratioOf, warm } from './paired.ts'
import { buildPodSecurityWebhook, startPodSecurityWebhook, type PeerServer } from './peerServer.ts'
import { reviewOf, TYPICAL } from './reviews.ts'
import { NAMESPACE, reviewTarget } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

/** As peerServers.sh builds it. */
export const POD_SECURITY = 'pod-security-admission 0.35'

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const program = buildPodSecurityWebhook()
  const pair = await startPair()
  try {
    // The peer asks an API server for namespaces.
    const cluster = await startCluster()
    let peer: PeerServer | undefined
    try {
      await cluster.createNamespace(NAMESPACE, {})
      peer = await startPodSecurityWebhook(program, pair.path, cluster.kubeconfig)
      const review = reviewOf(NAMESPACE, TYPICAL)
      const targets = [
        reviewTarget('drawbridge', pair.drawbridge, '/validate', review, pair.ca),
        reviewTarget('floor', pair.floor, '/validate', review, pair.ca),
        reviewTarget(POD_SECURITY, peer, '/', review, pair.ca),
      ]
      // Every kind of review to Drawbridge and the floor, then what the peer answers to all three.
      await warmUp(pair)
      await warm(pair.generator, targets)
      report('warm')
      const [ours, floor, theirs] = await compare(pair.generator, targets, {
        ...extentOf(scale),
        connections: 16,
        awake: true,
      })
      const rates = [ours, theirs, floor].map((one) => Math.round(median(one!.rounds.map(({ rate }) => rate))))
      return [
        {
          what: `validate: requests at 16 connections, of ${POD_SECURITY} in the same run`,
          value: ratioOf(ours!, theirs!, ({ rate }) => rate),
          unit: 'x',
          goal: { atLeast: 2 },
          note: `${rates[0]}/s and ${rates[1]}/s; the floor ${rates[2]}/s`,
        },
        {
          what: `validate: requests at 16 connections of ${POD_SECURITY}, of the floor`,
          value: ratioOf(theirs!, floor!, ({ rate }) => rate),
          unit: 'x',
        },
      ]
    } finally {
      await peer?.stop()
      await cluster.stop()
    }
  } finally {
    await pair.stop()
  }
}

export const peersBeside: Measurement = { name: 'peers', run }
