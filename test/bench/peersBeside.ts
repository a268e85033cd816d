/** Other webhooks in the same run, in turn with Drawbridge and the floor. Only one of them runs at a time: the others would take memory and CPU. */
import { startCluster } from '../cluster/harness.ts'
import { extentOf, startPair, warmUp } from './endpoint.ts'
import { compare, median, ratioOf, warm } from './paired.ts'
import type { Measured, Target } from './paired.ts'
import { untilItDecides } from './peers/decides.ts'
import { peers } from './peers/index.ts'
import type { Peer, PeerServer } from './peers/peer.ts'
import { reviewOf, TYPICAL } from './reviews.ts'
import { NAMESPACE, reviewTarget, startDrawbridge } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

/** What is measured; the chart shows these. */
export const bothOf = (name: string): string => `validate: requests at 16 connections, of ${name} in the same run`
export const oneOf = (name: string): string => `validate: requests at 16 connections of one replica, of ${name}`
export const ofFloorOf = (name: string): string => `validate: requests at 16 connections of ${name}, of the floor`

const typical = ({ rounds }: Measured, what: 'rate' | 'cpu'): number =>
  Math.round(median(rounds.map((round) => round[what])))

/** The second replica alone: the first is warmed with the floor, as for the other parts. */
const REPLICA_WARM_MILLISECONDS = 15_000

/** Several targets as one: replicas of a server, each with as many connections. */
function together(name: string, [first, ...replicas]: readonly Target[]): Target {
  return { ...first!, name, replicas }
}

/** @param folder what `build` gave */
async function measure(peer: Peer, folder: string, { scale, report }: Effort): Promise<readonly Figure[]> {
  const { name, times, validatePath, runs, warmMilliseconds } = peer
  const pair = await startPair()
  const second = await startDrawbridge()
  try {
    // For what the peer is configured by, and for the namespace of the reviews.
    const cluster = await startCluster()
    let server: PeerServer | undefined
    try {
      await cluster.createNamespace(NAMESPACE)
      server = await peer.start({ folder, data: pair.path, cluster })
      const processes = server.replica === undefined ? [server] : [server, server.replica]
      const decides = (): Promise<unknown> => Promise.all(processes.map((one) => untilItDecides(peer, one)))
      await decides()
      const review = reviewOf(NAMESPACE, TYPICAL)
      const { webhook: url, ca } = second.server.file
      const [one, other] = [
        reviewTarget('drawbridge', pair.drawbridge, '/validate', review, pair.ca),
        reviewTarget('replica', { url, pid: second.server.child.pid }, '/validate', review, ca),
      ] as const
      const peerTarget = together(
        name,
        processes.map((process) => reviewTarget(name, process, validatePath, review, process.ca)),
      )
      const targets = [
        together('two replicas', [one, other]),
        one,
        reviewTarget('floor', pair.floor, '/validate', review, pair.ca),
        peerTarget,
      ]
      // Every kind of review to Drawbridge and the floor, then what the peer answers to all.
      await warmUp(pair)
      await warm(pair.generator, [other], REPLICA_WARM_MILLISECONDS)
      await warm(pair.generator, [peerTarget], warmMilliseconds)
      await warm(pair.generator, targets)
      report(`${name}: warm`)
      // By a client that sleeps between two answers, as all do: one that never does takes one of two cores, and here all of them are to be used.
      const [both, ours, floor, theirs] = await compare(pair.generator, targets, {
        ...extentOf(scale),
        connections: 16,
      })
      // Still: what it is configured by may have changed meanwhile, by itself.
      await decides()
      return [
        {
          what: bothOf(name),
          value: ratioOf(both!, theirs!, ({ rate }) => rate),
          unit: 'x',
          goal: { atLeast: times },
          note: `two replicas ${typical(both!, 'rate')}/s, ${runs} of ${name} ${typical(theirs!, 'rate')}/s`,
        },
        {
          what: oneOf(name),
          value: ratioOf(ours!, theirs!, ({ rate }) => rate),
          unit: 'x',
          note: `${typical(ours!, 'rate')}/s; the floor ${typical(floor!, 'rate')}/s`,
        },
        {
          what: `validate: CPU of ${name} for a review, of Drawbridge's`,
          value: ratioOf(theirs!, both!, ({ cpu }) => cpu),
          unit: 'x',
          note: `${typical(theirs!, 'cpu')} and ${typical(both!, 'cpu')} us`,
        },
        { what: ofFloorOf(name), value: ratioOf(theirs!, floor!, ({ rate }) => rate), unit: 'x' },
      ]
    } finally {
      await server?.stop()
      await cluster.stop()
    }
  } finally {
    await Promise.all([pair.stop(), second.stop()])
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
