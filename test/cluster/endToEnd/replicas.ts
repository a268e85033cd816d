/** Two replicas of the bundled program on the test cluster, and what plays the kubelet and Falco for them. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { cli, podReview, root, RunningProgram, temporaryFolder, until } from '../../process/server.ts'
import type { Answer } from '../../process/server.ts'
import { waitForCrds } from '../harness.ts'
import type { Cluster, Outcome } from '../harness.ts'
import { makeOwnNamespace } from '../shared.ts'

/** Any 64 hexadecimal digits: a container's id, a digest. */
export const randomHex = (): string => randomBytes(32).toString('hex')

export const hexOf = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Alerts go to `a`; the API server sends every review to `b`. */
export interface Replicas {
  readonly a: RunningProgram
  readonly b: RunningProgram
  killA(): Promise<void>
  startA(): Promise<void>
  killB(): Promise<void>
  /** On the port that the webhook configurations name. */
  startB(): Promise<void>
  /** Ends both, whether or not they run, and takes away what was registered. */
  remove(): Promise<void>
}

/** What the tests of all topics share. */
export interface Stage {
  readonly cluster: Cluster
  readonly replicas: Replicas
}

/** Installs the CRDs, starts both, and registers `b` by the output of `drawbridge manifests`. */
export async function startReplicas(cluster: Cluster): Promise<Replicas> {
  await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
  await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
  await cluster.must(['delete', 'imageverdicts', '--all'])
  await makeOwnNamespace(cluster)
  const folders = { a: temporaryFolder(), b: temporaryFolder() }
  // Far more images are denied within the hour than people could live with.
  const config = 'drain: 100ms\nquarantine: { budget: { perNamespace: 1000, perCluster: 1000 } }\n'
  for (const { path } of Object.values(folders)) writeFileSync(join(path, 'drawbridge.yaml'), config)
  const start = (name: 'a' | 'b', extra: readonly string[] = []): Promise<RunningProgram> =>
    RunningProgram.start(folders[name].path, extra, ['--kubeconfig', cluster.kubeconfig])
  const running: { a?: RunningProgram; b?: RunningProgram } = {}
  const remove = async (): Promise<void> => {
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', 'drawbridge'])
    const policies = 'validatingadmissionpolicy,validatingadmissionpolicybinding'
    await cluster.kubectl(['delete', policies, 'drawbridge-verdicts'])
    await running.a?.kill()
    await running.b?.kill()
    await cluster.kubectl(['delete', 'imageverdicts', '--all'])
    folders.a.remove()
    folders.b.remove()
  }
  try {
    ;[running.a, running.b] = await Promise.all([start('a'), start('b')])
    const { webhook, ca } = running.b.file
    const manifests = cli(['manifests', '--url', webhook, '--ca', ca, '--user', 'admin'])
    assert.equal(manifests.code, 0, manifests.err)
    await cluster.must(['apply', '-f', '-'], manifests.out)
  } catch (error) {
    await remove()
    throw error
  }
  const port = new URL(running.b.file.webhook).port
  return {
    get a() {
      return running.a!
    },
    get b() {
      return running.b!
    },
    killA: () => running.a!.kill(),
    startA: async () => void (running.a = await start('a')),
    killB: () => running.b!.kill(),
    startB: async () => void (running.b = await start('b', ['--port', port])),
    remove,
  }
}

/** A namespace in which pods can be created, known to replica `b`. */
export async function openNamespace(cluster: Cluster, name: string, labels = ENFORCED): Promise<void> {
  await cluster.createNamespace(name, labels)
  await until(`the default service account of ${name}`, async () => {
    const { code } = await cluster.kubectl(['get', 'serviceaccount', 'default', '-n', name])
    return code === 0
  })
}

export const ENFORCED: Readonly<Record<string, string>> = { 'drawbridge.dev/enforce': 'standard' }

/** A pod's spec that `standard` allows once seccomp is injected. */
export const podSpec = (image: string, extra: object = {}): object => ({
  containers: [{ name: 'web', image, securityContext: { runAsNonRoot: true, runAsUser: 10001 } }],
  ...extra,
})

export const plainPod = (namespace: string, name: string, image: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: podSpec(image),
})

export const deployment = (namespace: string, name: string, image: string, replicas = 1): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: podSpec(image) },
  },
})

export const apply = (cluster: Cluster, object: object): Promise<Outcome> =>
  cluster.kubectl(['apply', '-f', '-'], JSON.stringify(object))

export async function mustApply(cluster: Cluster, object: object): Promise<void> {
  await cluster.must(['apply', '-f', '-'], JSON.stringify(object))
}

/** The name of a pod with label `app`, once its controller has made one. */
export function podOf(cluster: Cluster, namespace: string, app: string): Promise<string> {
  return until(`a pod of ${app}`, async () => {
    const names = await cluster.must(['get', 'pods', '-n', namespace, '-l', `app=${app}`, '-o', 'name'])
    return names.split('\n')[0]?.replace('pod/', '') || undefined
  })
}

/** What a kubelet writes once the only container `web` runs. Returns the container's id. */
export async function reportRunning(
  cluster: Cluster,
  namespace: string,
  name: string,
  imageID: string,
  containerId = randomHex(),
): Promise<string> {
  const status = {
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True' }],
    containerStatuses: [
      {
        name: 'web',
        image: 'as-the-runtime-names-it',
        imageID,
        containerID: `containerd://${containerId}`,
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: new Date().toISOString() } },
      },
    ],
  }
  const patch = JSON.stringify({ status })
  await cluster.must(['patch', 'pod', name, '-n', namespace, '--subresource=status', '--type=merge', '-p', patch])
  return containerId
}

/** A running Deployment `name` of `image`, and its first pod's container. */
export async function runDeployment(
  cluster: Cluster,
  namespace: string,
  name: string,
  image: string,
  imageID: string,
): Promise<{ readonly pod: string; readonly containerId: string }> {
  await mustApply(cluster, deployment(namespace, name, image))
  const pod = await podOf(cluster, namespace, name)
  return { pod, containerId: await reportRunning(cluster, namespace, pod, imageID) }
}

export interface FalcoAlert {
  readonly containerId: string
  readonly namespace: string
  readonly pod: string
  /** Of test/fixtures/alerts/falco. */
  readonly fixture?: string
  /** What the alert says the image is. */
  readonly image?: string
}

/**
 * An alert of a real Falco, now and from this container. Edited as text: Falco's numbers do not survive JSON.parse.
 */
export function falcoAlert({ containerId, namespace, pod, fixture, image }: FalcoAlert): string {
  const path = join(root, 'test/fixtures/alerts/falco', `${fixture ?? 'pod.drop_and_execute'}.jsonl`)
  const line = readFileSync(path, 'utf8').split('\n')[0]!
  const [repository, tag] = (image ?? 'registry.example/shop/web:1.4.2').split(':')
  const edits: readonly (readonly [RegExp, string])[] = [
    [/"time":"[^"]*"/, `"time":"${new Date().toISOString().replace('Z', '000000Z')}"`],
    [/67aacb04675f/g, containerId.slice(0, 12)],
    [/web-7d4b9c6f5-x2x8q/g, pod],
    [/"k8s\.ns\.name":"shop"/, `"k8s.ns.name":"${namespace}"`],
    [/k8s_ns_name=shop/, `k8s_ns_name=${namespace}`],
    [/"container\.image\.repository":"[^"]*"/, `"container.image.repository":"${repository}"`],
    [/"container\.image\.tag":"[^"]*"/, `"container.image.tag":"${tag}"`],
  ]
  return edits.reduce((text, [pattern, replacement]) => {
    assert.match(text, pattern, `${path} has changed`)
    return text.replace(pattern, replacement)
  }, line)
}

/** Posts as Falco does: one object, Basic credentials from the userinfo of the URL. */
export function postAlert(replica: RunningProgram, alert: FalcoAlert | string): Promise<Answer> {
  const url = new URL(`${replica.file.alerts}/alerts/falco`)
  url.username = 'falco'
  url.password = replica.file.alertToken
  const body = typeof alert === 'string' ? alert : falcoAlert(alert)
  return replica.post(url.href, body, { 'User-Agent': 'falcosecurity/falco' })
}

/** Posts, wants 200, and returns what was decided. */
export async function sendAlert(replica: RunningProgram, alert: FalcoAlert | string): Promise<string> {
  const answer = await postAlert(replica, alert)
  assert.equal(answer.status, 200, `${answer.text}\n${replica.output().slice(-2000)}`)
  return answer.body.decisions[0].decision
}

/** What a replica says of a new pod with this image, without kubectl; undefined: allowed. */
export async function denialBy(replica: RunningProgram, namespace: string, image: string): Promise<string | undefined> {
  const { status, text, body } = await replica.review('/validate', podReview(image, { namespace }))
  assert.equal(status, 200, text)
  return body.response.allowed ? undefined : body.response.status.message
}

/** Waits until a replica denies an image; the change comes from the other one by a watch. */
export const untilDenied = (replica: RunningProgram, namespace: string, image: string, deadline = 10_000) =>
  until(`a denial of ${image}`, () => denialBy(replica, namespace, image), deadline)

export async function untilAllowed(replica: RunningProgram, namespace: string, image: string): Promise<void> {
  await until(`${image} to be allowed`, async () => (await denialBy(replica, namespace, image)) === undefined, 10_000)
}

/** kubectl failed because a webhook of ours said this. */
export function assertDenied(outcome: Outcome, webhook: string, ...parts: readonly string[]): void {
  assert.notEqual(outcome.code, 0, `was not denied: ${outcome.stdout}${outcome.stderr}`)
  for (const part of [`admission webhook "${webhook}.drawbridge.dev" denied the request: drawbridge: `, ...parts]) {
    assert.ok(outcome.stderr.includes(part), `${part} is missing in:\n${outcome.stderr}`)
  }
}

export function assertAllowed(outcome: Outcome): void {
  assert.equal(outcome.code, 0, outcome.stderr)
}
