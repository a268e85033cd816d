/**
 * The revisions of a workload: what `kubectl rollout undo` can go back to. A Deployment's are its ReplicaSets, with their numbers in an annotation; a
 * StatefulSet's and a DaemonSet's are ControllerRevisions
 * (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment).
 */
import { podImages } from './containers.ts'
import { ownerWorkload } from './owner.ts'
import { checkPodShape } from './podShape.ts'
import { findPodTemplate } from './podTemplate.ts'
import { isObject } from './shape.ts'
import type { AdmissionRequest, ObjectMeta, PodSpec } from './types.ts'
import { DNS_LABEL, DNS_SUBDOMAIN } from './names.ts'

/** The kinds that keep revisions. `revisions`: the resource that holds them. */
export const REVISION_KINDS = {
  Deployment: { resource: 'deployments', revisions: 'replicasets' },
  StatefulSet: { resource: 'statefulsets', revisions: 'controllerrevisions' },
  DaemonSet: { resource: 'daemonsets', revisions: 'controllerrevisions' },
} as const

/** A workload that keeps revisions. Both names are valid ones: they go into paths of the API and into commands that people copy. */
export interface RevisedWorkload {
  readonly kind: keyof typeof REVISION_KINDS
  readonly namespace: string
  readonly name: string
}

/** A template that the workload had, by its number. */
export interface Revision {
  readonly number: number
  /** Every image of it, once. */
  readonly images: readonly string[]
}

/** What a workload runs now, and what it could go back to. */
export interface RevisionHistory {
  /** Of the workload. */
  readonly uid: string
  /** Images of its template as it is now. */
  readonly images: readonly string[]
  /** In no order. The one that runs now is among them. */
  readonly revisions: readonly Revision[]
}

/** Reads the revisions of a workload; undefined: it has none that are known. Never rejects. */
export type ReadHistory = (workload: RevisedWorkload) => Promise<RevisionHistory | undefined>

const REVISION_ANNOTATION = 'deployment.kubernetes.io/revision'

const asObject = (value: unknown): Readonly<Record<string, unknown>> => (isObject(value) ? value : {})

const isRevised = (kind: unknown): kind is RevisedWorkload['kind'] =>
  typeof kind === 'string' && Object.hasOwn(REVISION_KINDS, kind)

/** A workload by its parts; undefined for other kinds, and for names that no object can have. */
export function revisedWorkload(kind: unknown, namespace: unknown, name: unknown): RevisedWorkload | undefined {
  if (!isRevised(kind) || typeof namespace !== 'string' || typeof name !== 'string') return undefined
  return DNS_LABEL.test(namespace) && DNS_SUBDOMAIN.test(name) ? { kind, namespace, name } : undefined
}

/** As revisedWorkload, from `namespace/Kind/name`. */
export function revisedOwner(owner: string): RevisedWorkload | undefined {
  const [namespace, kind, ...name] = owner.split('/')
  return revisedWorkload(kind, namespace, name.join('/'))
}

/**
 * Whose revisions matter to a request: those of the workload that is updated, of the Deployment whose ReplicaSet this is, or of the owner of this pod.
 * The pod must have passed `checkPodShape`. Whoever may create pods can claim any owner in the same namespace.
 */
export function workloadOfRequest(
  request: Pick<AdmissionRequest, 'kind' | 'operation' | 'namespace' | 'name' | 'object'>,
  now: number,
): RevisedWorkload | undefined {
  const { kind, operation, namespace, name, object } = request
  const metadata = asObject(asObject(object)['metadata'])
  if (kind.group === '' && kind.kind === 'Pod')
    return revisedOwner(ownerWorkload({ ...(metadata as ObjectMeta), namespace }, now))
  if (kind.group !== 'apps') return undefined
  if (kind.kind !== 'ReplicaSet')
    return operation === 'UPDATE' ? revisedWorkload(kind.kind, namespace, name ?? metadata['name']) : undefined
  const owner = controllerOf(metadata)
  return owner['kind'] === 'Deployment' ? revisedWorkload('Deployment', namespace, owner['name']) : undefined
}

/** What a workload is now: how its revisions are found, and what it runs. */
export interface WorkloadHead {
  readonly uid: string
  /** As the query parameter `labelSelector`. */
  readonly selector: string
  readonly images: readonly string[]
}

/** Reads a workload; undefined: unreadable, or a paused Deployment, which kubectl does not roll back. Never throws. */
export function readHead(kind: RevisedWorkload['kind'], object: unknown): WorkloadHead | undefined {
  const { metadata, spec } = asObject(object)
  const { uid } = asObject(metadata)
  const { paused, selector } = asObject(spec)
  const images = imagesOf({ group: 'apps', kind }, object)
  const query = selectorQuery(selector)
  if (typeof uid !== 'string' || uid === '' || paused === true || images === undefined || query === undefined)
    return undefined
  return { uid, selector: query, images }
}

/**
 * Reads the revisions of the workload with this uid from its ReplicaSets or ControllerRevisions. What cannot be read is left out, and so is a number that
 * two of them claim: nobody could say which one kubectl takes. Never throws.
 */
export function readRevisions(
  kind: RevisedWorkload['kind'],
  uid: string,
  objects: readonly unknown[],
): readonly Revision[] {
  const found = new Map<number, Revision | undefined>()
  for (const object of objects) {
    const number = numberOf(kind, uid, object)
    if (number === undefined) continue
    // A ControllerRevision holds the part of its workload that the template is in.
    const images =
      kind === 'Deployment'
        ? imagesOf({ group: 'apps', kind: 'ReplicaSet' }, object)
        : imagesOf({ group: 'apps', kind }, asObject(object)['data'])
    found.set(number, found.has(number) || images === undefined ? undefined : { number, images })
  }
  return [...found.values()].filter((revision) => revision !== undefined)
}

/**
 * What a workload is given back: the ReplicaSet of that number, or the patch that the ControllerRevision holds. Undefined: there is none, or two claim the
 * number. Never throws.
 */
export function revisionObject(
  kind: RevisedWorkload['kind'],
  uid: string,
  objects: readonly unknown[],
  number: number,
): Readonly<Record<string, unknown>> | undefined {
  const [found, ...others] = objects.filter((object) => numberOf(kind, uid, object) === number)
  if (found === undefined || others.length > 0) return undefined
  const given = kind === 'Deployment' ? found : asObject(found)['data']
  return isObject(given) ? given : undefined
}

/** The number of a revision of the workload with this uid; undefined: it is none of it. 0 is no revision: `--to-revision=0` means the one before. */
function numberOf(kind: RevisedWorkload['kind'], uid: string, object: unknown): number | undefined {
  const metadata = asObject(asObject(object)['metadata'])
  if (controllerOf(metadata)['uid'] !== uid) return undefined
  const number = kind === 'Deployment' ? annotatedNumber(metadata) : asObject(object)['revision']
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 1 ? number : undefined
}

function annotatedNumber(metadata: Readonly<Record<string, unknown>>): number | undefined {
  const text = asObject(metadata['annotations'])[REVISION_ANNOTATION]
  return typeof text === 'string' && /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined
}

function controllerOf(metadata: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const owners = Array.isArray(metadata['ownerReferences']) ? (metadata['ownerReferences'] as readonly unknown[]) : []
  return owners.map(asObject).find(({ controller }) => controller === true) ?? {}
}

function imagesOf(
  kind: { readonly group: string; readonly kind: string },
  object: unknown,
): readonly string[] | undefined {
  const template = findPodTemplate(kind, object)
  if (template === undefined || checkPodShape(template.metadata, template.spec, template.path) !== undefined)
    return undefined
  return [...new Set(podImages(template.spec as PodSpec).map(({ image }) => image))]
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api; undefined: unreadable, or it would select everything. */
function selectorQuery(selector: unknown): string | undefined {
  const { matchLabels, matchExpressions } = asObject(selector)
  const equal = Object.entries(asObject(matchLabels)).map(([key, value]) => `${key}=${String(value)}`)
  const terms = (Array.isArray(matchExpressions) ? (matchExpressions as readonly unknown[]) : []).map((term) => {
    const { key, operator, values } = asObject(term)
    const list = Array.isArray(values) ? (values as readonly unknown[]).map(String).join(',') : ''
    const written: Readonly<Record<string, string>> = {
      In: `${String(key)} in (${list})`,
      NotIn: `${String(key)} notin (${list})`,
      Exists: String(key),
      DoesNotExist: `!${String(key)}`,
    }
    return typeof operator === 'string' && Object.hasOwn(written, operator) ? written[operator] : undefined
  })
  const all = [...equal, ...terms]
  return all.length === 0 || all.includes(undefined) ? undefined : all.join(',')
}
