/**
 * What `kubectl rollout undo --to-revision` does (kubernetes/kubectl: pkg/polymorphichelpers/rollback.go): the template of an older ReplicaSet, or the patch
 * that a ControllerRevision holds.
 */
import { isObject } from '../../kube/shape.ts'
import { readHead, revisionObject, REVISION_KINDS } from '../../kube/revisions.ts'
import type { Rollback } from '../../verdicts/rollback.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'

const TIMEOUT_MS = 10_000
const MAX_BYTES = 4 * 1024 * 1024
/** Set by the Deployment controller on its ReplicaSets; not of the author's template. */
const HASH_LABEL = 'pod-template-hash'

/**
 * Gives the workload the revision's template back. `changed`: it is another object, or runs other images, or was changed at the same moment.
 * @throws KubernetesError where the API server refuses
 */
export async function undoRollout(
  client: Pick<KubernetesClient, 'request'>,
  { workload: { kind, namespace, name }, uid, revision, from }: Rollback,
): Promise<'rolled-back' | 'changed'> {
  const { resource, revisions } = REVISION_KINDS[kind]
  const folder = `/apis/apps/v1/namespaces/${namespace}`
  const path = `${folder}/${resource}/${name}`
  const settings = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
  const object = await client.request('GET', path, settings)
  const head = readHead(kind, object)
  const resourceVersion = (object as { readonly metadata?: { readonly resourceVersion?: unknown } }).metadata
    ?.resourceVersion
  if (head?.uid !== uid || head.images.toSorted().join('\n') !== from.toSorted().join('\n')) return 'changed'
  const query = { labelSelector: head.selector }
  const { items } = (await client.request('GET', `${folder}/${revisions}`, { ...settings, query })) as {
    readonly items?: unknown
  }
  const found = revisionObject(kind, uid, Array.isArray(items) ? (items as readonly unknown[]) : [], revision)
  if (found === undefined) return 'changed'
  const patch = kind === 'Deployment' ? { spec: { template: { $patch: 'replace', ...ownTemplate(found) } } } : found
  try {
    await client.request('PATCH', path, {
      ...settings,
      query: { fieldManager: 'drawbridge-rollback' },
      contentType: 'application/strategic-merge-patch+json',
      // Whoever changed it meanwhile knows more.
      body: { ...patch, metadata: { resourceVersion } },
    })
    return 'rolled-back'
  } catch (error) {
    if (error instanceof KubernetesError && error.status === 409) return 'changed'
    throw error
  }
}

/** The template of a ReplicaSet as its Deployment had it. */
function ownTemplate(replicaSet: Readonly<Record<string, unknown>>): object {
  const spec = isObject(replicaSet['spec']) ? replicaSet['spec'] : {}
  const template = isObject(spec['template']) ? spec['template'] : {}
  const metadata = isObject(template['metadata']) ? template['metadata'] : {}
  const labels = isObject(metadata['labels']) ? metadata['labels'] : {}
  const own = Object.fromEntries(Object.entries(labels).filter(([key]) => key !== HASH_LABEL))
  return { ...template, metadata: { ...metadata, labels: own } }
}
