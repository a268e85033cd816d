/** Many pods as kubelets report them, and what their verdicts cost the API server. */
import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import { hexOf } from '../bench/load.ts'
import type { AlertFields } from '../bench/load.ts'
import type { Cluster } from './harness.ts'

const TENANTS = 20

/** Where the pod with this number runs and what it is called. */
export function placeOf(index: number): Omit<AlertFields, 'nanoseconds'> {
  return {
    containerId: hexOf(`container-${index}`),
    namespace: `tenant-${index % TENANTS}`,
    pod: `web-${index}-7d4b9c6f5-x2x8q`,
    image: `registry.example/shop/web-${index}:1.4.2`,
  }
}

/** A running pod of a Deployment, with one image of its own. */
export function podObject(index: number): object {
  const { containerId, namespace, pod, image } = placeOf(index)
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: pod,
      namespace,
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      labels: { app: `web-${index}`, 'pod-template-hash': '7d4b9c6f5' },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `web-${index}-7d4b9c6f5`,
          uid: `rs-${index}`,
          controller: true,
        },
      ],
    },
    spec: { nodeName: `node-${index % 100}`, containers: [{ name: 'web', image }] },
    status: {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'web',
          image,
          imageID: `registry.example/shop/web-${index}@sha256:${hexOf(`image-${index}`)}`,
          containerID: `containerd://${containerId}`,
          ready: true,
          restartCount: 0,
          state: { running: { startedAt: '2026-11-22T06:00:00Z' } },
        },
      ],
    },
  }
}

/** Pods with these numbers, as if kubelets had started them. */
export async function runPods(cluster: Cluster, first: number, count: number): Promise<void> {
  const numbers = Array.from({ length: count }, (_, offset) => first + offset)
  const client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
  try {
    for (const number of numbers) {
      const { status, ...pod } = podObject(number) as Record<string, Record<string, unknown>>
      const { namespace, pod: name } = placeOf(number)
      const { ownerReferences: _owner, uid: _uid, ...metadata } = pod['metadata']!
      // Not labelled: what is measured is the ledger, and no pod may be refused for its security context.
      await client.request('POST', `/api/v1/namespaces/${namespace}/pods`, {
        body: { ...pod, metadata, spec: { ...pod['spec'], nodeName: undefined, serviceAccountName: 'default' } },
      })
      await client.request('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}/status`, {
        body: { status },
        contentType: 'application/merge-patch+json',
      })
    }
  } finally {
    client.close()
  }
}

/** Writes of verdicts that the API server counted, by status code. */
export async function ledgerWrites(cluster: Cluster): Promise<Map<string, number>> {
  const text = await cluster.must(['get', '--raw', '/metrics'])
  const counts = new Map<string, number>()
  for (const [, labels, value] of text.matchAll(
    /^apiserver_request_total\{([^}]*resource="imageverdicts"[^}]*)\} (\S+)$/gm,
  )) {
    if (!/verb="(?:POST|PUT|PATCH|APPLY|DELETE)"/.test(labels!)) continue
    const code = /code="(\d+)"/.exec(labels!)?.[1] ?? ''
    counts.set(code, (counts.get(code) ?? 0) + Number(value))
  }
  return counts
}
