/**
 * What `kubectl rollout undo --to-revision` does (kubernetes/kubectl: pkg/polymorphichelpers/rollback.go): the template of an older ReplicaSet, or the patch
 * that a ControllerRevision holds.
 */
import { isObject } from '../../kube/shape.ts'
import { revisionObject, REVISION_KINDS } from '../../kube/revisions.ts'
import type { Rollback } from '../../verdicts/rollback.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'
import { readWorkload } from './revisions.ts'

const TIMEOUT_MS = 10_000
/** Set by the Deployment controller on its ReplicaSets; not of the author's template. */
const HASH_LABEL = 'pod-template-hash'

/**
 * Gives the workload the revision's template back. `changed`: it is another object, or runs other images, or was changed at the same moment.
 * @throws KubernetesError where the API server refuses
 */
export async function undoRollout(
  client: Pick<KubernetesClient, 'request'>,
  { workload, uid, revision, from }: Rollback,
): Promise<'rolled-back' | 'changed'> {
  const { kind, namespace, name } = workload
  const read = await readWorkload(client, workload)
  const isSame = read?.head.uid === uid && read.head.images.toSorted().join('\n') === from.toSorted().join('\n')
  if (read === undefined || !isSame) return 'changed'
  const { resourceVersion } = (read.object as { readonly metadata: { readonly resourceVersion?: unknown } }).metadata
  const found = revisionObject(kind, uid, read.revisions, revision)
  if (found === undefined) return 'changed'
  const patch = kind === 'Deployment' ? { spec: { template: { $patch: 'replace', ...ownTemplate(found) } } } : found
  try {
    await client.request('PATCH', `/apis/apps/v1/namespaces/${namespace}/${REVISION_KINDS[kind].resource}/${name}`, {
      timeoutMs: TIMEOUT_MS,
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
