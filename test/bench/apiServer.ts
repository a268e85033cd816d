/**
 * What Drawbridge adds to a pod create through a real API server, against what the floor adds there: dry-run creates, in namespaces without webhooks, with
 * Drawbridge (mutating and validating) and with the floor registered by the same configuration.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { load as readYaml } from 'js-yaml'

import { startCluster, waitForCrds } from '../cluster/harness.ts'
import type { Cluster } from '../cluster/harness.ts'
import { makeOwnNamespace } from '../cluster/shared.ts'
import { cli, root, temporaryFolder, type RunningProgram } from '../process/server.ts'
import { readCounter } from './load.ts'
import { compare, Generator, median, warm } from './paired.ts'
import type { Measured, Round, Target } from './paired.ts'
import { pod, reviewOf } from './reviews.ts'
import { reviewTarget, startAsImage, startFloor } from './servers.ts'
import type { Effort, Figure, Measurement } from './types.ts'

/** Namespace by what answers for it. */
const NAMESPACES = {
  none: { name: 'bench-none', labels: {} },
  drawbridge: { name: 'bench-drawbridge', labels: { 'drawbridge.dev/enforce': 'restricted' } },
  floor: { name: 'bench-floor', labels: { 'floor.example/enforce': 'restricted' } },
} as const

interface KubeConfig {
  readonly clusters: readonly [{ readonly cluster: Readonly<Record<string, string>> }]
  readonly users: readonly [{ readonly user: Readonly<Record<string, string>> }]
}

/** How the generator reaches the API server: as the administrator, over HTTP/1.1. */
function createTargets(kubeconfig: string): readonly Target[] {
  const { clusters, users } = readYaml(readFileSync(kubeconfig, 'utf8')) as KubeConfig
  const decode = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString('utf8')
  return Object.values(NAMESPACES).map(({ name }) => ({
    name,
    url: `${clusters[0].cluster['server']}/api/v1/namespaces/${name}/pods?dryRun=All`,
    body: JSON.stringify(pod(name)),
    ca: decode(clusters[0].cluster['certificate-authority-data']),
    cert: decode(users[0].user['client-certificate-data']),
    key: decode(users[0].user['client-key-data']),
    status: 201,
    contains: '"kind":"Pod"',
  }))
}

/** Registers Drawbridge, and the floor by the same configuration under labels of its own. */
async function register(cluster: Cluster, drawbridge: RunningProgram, floor: string): Promise<void> {
  const { webhook, ca } = drawbridge.file
  const { code, out, err } = cli(['manifests', '--url', webhook, '--ca', ca, '--user', 'admin'])
  if (code !== 0) throw new Error(err)
  const webhooks = out
    .split(/^---$/m)
    .filter((text) => /^kind: (?:Mutating|Validating)WebhookConfiguration$/m.test(text))
  if (webhooks.length !== 2) throw new Error(`${webhooks.length} webhook configurations in the manifests`)
  const ours = webhooks.join('---\n')
  const theirs = ours
    .replaceAll(webhook, floor)
    .replaceAll(/^( *- )?( *)key: drawbridge\.dev\//gm, '$1$2key: floor.example/')
    .replaceAll(/\bname: drawbridge$/gm, 'name: floor')
  if (!theirs.includes('key: floor.example/enforce')) throw new Error('the manifests have changed')
  await cluster.must(['apply', '-f', '-'], `${ours}---\n${theirs}`)
}

/** Median over the rounds of what Drawbridge adds, by what the floor adds. */
function added([none, drawbridge, floor]: readonly Measured[], time: (round: Round) => number): number {
  return median(
    none!.rounds.map(
      (round, index) => (time(drawbridge!.rounds[index]!) - time(round)) / (time(floor!.rounds[index]!) - time(round)),
    ),
  )
}

/** Reviews that were answered, by webhook. */
const answered = (server: RunningProgram): Promise<Map<string, number>> =>
  readCounter(server, 'drawbridge_admission_requests_total', 'webhook')

async function run({ scale, report }: Effort): Promise<readonly Figure[]> {
  const cluster = await startCluster()
  const data = temporaryFolder()
  const generator = new Generator()
  try {
    await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    await makeOwnNamespace(cluster)
    for (const { name, labels } of Object.values(NAMESPACES)) {
      await cluster.createNamespace(name, labels)
      await cluster.must(['wait', '--for=create', 'serviceaccount/default', '-n', name, '--timeout=30s'])
    }
    const drawbridge = await startAsImage(data.path, ['--kubeconfig', cluster.kubeconfig])
    const floor = await startFloor(data.path)
    try {
      await register(cluster, drawbridge, floor.url)
      const targets = createTargets(cluster.kubeconfig)
      report('registered')
      const figures: Figure[] = []
      // At the API server's own rate they would not be warm in half an hour.
      const review = reviewOf(NAMESPACES.drawbridge.name)
      const direct = [
        { name: 'drawbridge', url: drawbridge.file.webhook, pid: drawbridge.child.pid },
        { name: 'floor', ...floor },
      ].flatMap((server) =>
        ['/mutate', '/validate'].map((path) =>
          reviewTarget(`${server.name} ${path}`, server, path, review, drawbridge.file.ca),
        ),
      )
      await warm(generator, direct)
      const before = await answered(drawbridge)
      for (const target of targets) await generator.run({ target, connections: 8, milliseconds: 10_000 * scale })
      for (const connections of [1, 8]) {
        const rounds = Math.max(6, Math.round(30 * scale))
        const measured = await compare(generator, targets, { connections, milliseconds: 500, rounds })
        const time =
          connections === 1 ? (round: Round) => round.p50 : (round: Round) => (1000 * connections) / round.rate
        const [none, ours, theirs] = measured.map(({ rounds: found }) => median(found.map(time)).toFixed(2))
        figures.push({
          what: `time added to a pod create, ${connections} client${connections === 1 ? '' : 's'}, of the floor`,
          value: added(measured, time),
          unit: 'x',
          goal: { atMost: 1.15 },
          note: `${connections === 1 ? 'p50' : 'mean'} without webhooks ${none} ms, with Drawbridge ${ours} ms, with the floor ${theirs} ms; ${measured.map(({ times }) => times.length).join(', ')} creates`,
        })
      }
      const calls = [...(await answered(drawbridge))].map(([webhook, count]) => [
        webhook,
        count - (before.get(webhook) ?? 0),
      ])
      if (!calls.every(([, count]) => Number(count) > 0))
        throw new Error(`the API server did not call: ${calls.join(', ')}`)
      report(`called by the API server: ${calls.map(([webhook, count]) => `${webhook} ${count}`).join(', ')}`)
      return figures
    } finally {
      floor.stop()
      await drawbridge.stop()
    }
  } finally {
    generator.stop()
    await cluster.stop()
    data.remove()
  }
}

export const apiServer: Measurement = { name: 'api-server', run }
