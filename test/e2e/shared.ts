/**
 * The one cluster that all files of `make e2e` share: a real node, and on it Drawbridge as its users have it, installed by the chart from an image of
 * the Dockerfile. Loaded by `.mocharc.e2e.json` as a root hook plugin.
 */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import type { Context, RootHookObject } from 'mocha'

import { CHART, chartTools } from '../cluster/chartTools.ts'
import { NoClusterError, startCluster } from '../cluster/harness.ts'
import type { NodeCluster, Outcome } from '../cluster/harness.ts'
import { exitOnSignals } from '../cluster/shared.ts'
import { buildImage } from './image.ts'

export interface Installation {
  readonly cluster: NodeCluster
  /** The docker-archive that Drawbridge's pods run. */
  readonly archive: string
  readonly helm: (...args: readonly string[]) => Outcome
}

const shared: { installation?: Installation } = {}

/** The cluster with Drawbridge on it. Call it inside `before`, `it` and the like, never while files are loaded. */
export function installation(): Installation {
  if (shared.installation === undefined)
    throw new Error('nothing is installed yet: call installation() inside a hook or a test')
  return shared.installation
}

/** A workload that needs nothing: `sleep`, `sh`, `wget` and the rest of busybox, user 1000 by the pods' own setting. */
export const BUSYBOX = 'registry.example/busybox:1'

/** A pod that satisfies the profile `standard`, once its seccomp profile is injected. */
export function podOf(name: string, more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      securityContext: { runAsNonRoot: true, runAsUser: 1000 },
      containers: [{ name: 'main', image: BUSYBOX, imagePullPolicy: 'Never', args: ['sleep', '3600'] }],
      ...more,
    },
  }
}

/** Installs the chart, as docs/install.md says it, and waits until both replicas are ready. */
export async function install({ cluster, helm }: Omit<Installation, 'archive'>): Promise<void> {
  const { code, stderr } = helm('install', 'drawbridge', CHART, '--namespace', 'drawbridge')
  assert.equal(code, 0, stderr)
  await rolledOut(cluster)
}

export async function rolledOut(cluster: NodeCluster): Promise<void> {
  await cluster.must(['-n', 'drawbridge', 'rollout', 'status', 'deployment/drawbridge', '--timeout=120s'])
}

/** Applies an object and waits until its pod runs. */
export async function runPod(
  cluster: NodeCluster,
  namespace: string,
  pod: Readonly<Record<string, unknown>>,
): Promise<void> {
  await cluster.must(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(pod))
  const { name } = pod['metadata'] as { readonly name: string }
  // One process that watches: a new one for each look took more of a small machine than the pod.
  const running = '--for=jsonpath={.status.phase}=Running'
  await cluster.must(['-n', namespace, 'wait', running, `pod/${name}`, '--timeout=60s'])
}

export const mochaHooks: RootHookObject = {
  async beforeAll(this: Context): Promise<void> {
    // The first run ever builds Kubernetes, Helm and the image.
    this.timeout(40 * 60_000)
    exitOnSignals()
    try {
      const tools = chartTools()
      const cluster = await startCluster({ node: true })
      // Only who has the node may use it: one image is kept, and another checkout's takes the place of this one's while it waits for the node.
      const archive = await buildImage()
      const helm: Installation['helm'] = (...args) => tools.helm(args, cluster.kubeconfig)
      shared.installation = { cluster, archive, helm }
      assert.ok(statSync(archive).size > 0)
      await cluster.importImage(archive)
      await cluster.makeImages([BUSYBOX], { 'bin/busybox': '/bin/busybox', ...applets() }, [])
      await cluster.createNamespace('drawbridge', { 'pod-security.kubernetes.io/enforce': 'restricted' })
      await install(shared.installation)
    } catch (error) {
      if (!(error instanceof NoClusterError) || process.env['CI'] === 'true') throw error
      process.stderr.write(`\n*** END-TO-END TESTS SKIPPED: ${error.message} ***\n\n`)
      this.skip()
    }
  },
  async afterAll(this: Context): Promise<void> {
    this.timeout(60_000)
    await shared.installation?.cluster.stop()
  },
}

/** Names for busybox in an image. */
export function applets(): Readonly<Record<string, string>> {
  const names = ['sh', 'sleep', 'cat', 'grep', 'echo', 'unshare', 'wget', 'id', 'ls', 'nc', 'httpd', 'tty']
  return Object.fromEntries(names.map((name) => [`bin/${name}`, '@/bin/busybox']))
}
