/**
 * What a node says of itself: one Lease for each node, of the node's name, in the namespace of `drawbridge seccomp-sync`. A Lease, because it
 * says for how long it is to be believed; it belongs to its Node, so it goes with it. A ValidatingAdmissionPolicy (the chart's) lets a pod write only
 * the Lease of the node that it runs on.
 */
import { PROFILES_ANNOTATION, REPORT_SECONDS } from '../../kube/nodeReport.ts'
import type { KubernetesClient } from './client.ts'

export const leasesPath = (namespace: string): string =>
  `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`

export interface OwnNode {
  readonly name: string
  readonly uid: string
}

/**
 * The node that this pod runs on, by its own token. Needs no right.
 * @throws Error where the token says nothing of a node
 */
export async function readOwnNode(client: Pick<KubernetesClient, 'request'>): Promise<OwnNode> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const review = await client.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { body })
  const { status } = review as {
    readonly status?: { readonly userInfo?: { readonly extra?: Readonly<Record<string, readonly string[]>> } }
  }
  const extra = status?.userInfo?.extra ?? {}
  const [name, uid] = ['name', 'uid'].map((field) => extra[`authentication.kubernetes.io/node-${field}`]?.[0])
  if (name === undefined || uid === undefined)
    throw new Error('the token does not say which node it is for: this needs the token of a pod, and Kubernetes 1.30')
  return { name, uid }
}

/** Writes the report. @param profiles name -> SHA-256 of what the node has */
export async function writeReport(
  client: Pick<KubernetesClient, 'request'>,
  namespace: string,
  { name, uid }: OwnNode,
  profiles: ReadonlyMap<string, string>,
  now: number,
): Promise<void> {
  await client.request('PATCH', `${leasesPath(namespace)}/${encodeURIComponent(name)}`, {
    query: { fieldManager: 'drawbridge-seccomp-sync', force: 'true' },
    contentType: 'application/apply-patch+yaml',
    body: {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name,
        namespace,
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }],
        annotations: { [PROFILES_ANNOTATION]: JSON.stringify(Object.fromEntries(profiles)) },
      },
      spec: {
        holderIdentity: name,
        leaseDurationSeconds: REPORT_SECONDS,
        // MicroTime: the API server wants six digits.
        renewTime: new Date(now).toISOString().replace('Z', '000Z'),
      },
    },
  })
}
