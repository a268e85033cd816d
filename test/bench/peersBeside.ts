/** Other webhooks in the same run, in turn with Drawbridge and the floor. Only one of them runs at a time: the others would take memory and CPU. */
import { startCluster } from '../cluster/harness.ts'
import { extentOf, startPair, warmUp } from './endpoint.ts'
import { compare, median, ratioOf, warm } from './paired.ts'
import type { Measured } from './paired.ts'
import { untilItDecides } from './peers/decides.ts'
import { peers } from './peers/index.ts'
import type { Peer, PeerServer } from './peers/peer.ts'
import { reviewOf, TYPICAL } from './reviews.ts'
import { NAMESPACE, reviewTarget } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

/** What is measured of a peer beside the floor; the chart shows it. */
export const ofFloorOf = (name: string): string => `validate: requests at 16 connections of ${name}, of the floor`

const typical = ({ rounds }: Measured, what: 'rate' | 'cpu'): number =>
  Math.round(median(rounds.map((round) => round[what])))

/** @param folder what `build` gave */
async function measure(peer: Peer, folder: string, { scale, report }: Effort): Promise<readonly Figure[]> {
  const { name, times, validatePath } = peer
  const pair = await startPair()
  try {
    // For what the peer is configured by, and for the namespace of the reviews.
    const cluster = await startCluster()
    let server: PeerServer | undefined
    try {
      await cluster.createNamespace(NAMESPACE)
      server = await peer.start({ folder, data: pair.path, cluster })
      await untilItDecides(peer, server)
      const review = reviewOf(NAMESPACE, TYPICAL)
      const targets = [
        reviewTarget('drawbridge', pair.drawbridge, '/validate', review, pair.ca),
        reviewTarget('floor', pair.floor, '/validate', review, pair.ca),
        reviewTarget(name, server, validatePath, review, server.ca),
      ]
      // Every kind of review to Drawbridge and the floor, then what the peer answers to all three.
      await warmUp(pair)
      await warm(pair.generator, targets)
      report(`${name}: warm`)
      // As they are called: a client that never sleeps takes one of two cores, and the webhooks in Go would use both.
      const [ours, floor, theirs] = await compare(pair.generator, targets, { ...extentOf(scale), connections: 16 })
      const [oursAwake, , theirsAwake] = await compare(pair.generator, targets, {
        ...extentOf(scale),
        connections: 16,
        awake: true,
      })
      // Still: what it is configured by may have changed meanwhile, by itself.
      await untilItDecides(peer, server)
      return [
        {
          what: `validate: requests at 16 connections, of ${name} in the same run`,
          value: ratioOf(ours!, theirs!, ({ rate }) => rate),
          unit: 'x',
          goal: { atLeast: times },
          note: `${typical(ours!, 'rate')}/s and ${typical(theirs!, 'rate')}/s; the floor ${typical(floor!, 'rate')}/s`,
        },
        {
          what: `validate: requests at 16 connections, of ${name}, by a client that never sleeps`,
          value: ratioOf(oursAwake!, theirsAwake!, ({ rate }) => rate),
          unit: 'x',
          note: `${typical(oursAwake!, 'rate')}/s and ${typical(theirsAwake!, 'rate')}/s`,
        },
        {
          what: `validate: CPU of ${name} for a review, of Drawbridge's`,
          value: ratioOf(theirs!, ours!, ({ cpu }) => cpu),
          unit: 'x',
          note: `${typical(theirs!, 'cpu')} and ${typical(ours!, 'cpu')} us`,
        },
        { what: ofFloorOf(name), value: ratioOf(theirs!, floor!, ({ rate }) => rate), unit: 'x' },
      ]
    } finally {
      await server?.stop()
      await cluster.stop()
    }
  } finally {
    await pair.stop()
  }
}

/** A peer that cannot be built or does not do its work has no figures, which is said; the others have theirs. */
async function run(effort: Effort): Promise<readonly Figure[]> {
  const unmeasured = ({ name }: Peer, error: unknown): void =>
    effort.report(`${name} NOT MEASURED: ${error instanceof Error ? error.message : String(error)}`)
  // All of them before anything is measured: a build takes minutes of both cores.
  const built = peers.flatMap((peer) => {
    try {
      return [{ peer, folder: peer.build() }]
    } catch (error) {
      unmeasured(peer, error)
      return []
    }
  })
  const figures: Figure[] = []
  for (const { peer, folder } of built)
    try {
      figures.push(...(await measure(peer, folder, effort)))
    } catch (error) {
      unmeasured(peer, error)
    }
  if (figures.length === 0) throw new Error('no peer could be measured')
  return figures
}

export const peersBeside: Measurement = { name: 'peers', run }
