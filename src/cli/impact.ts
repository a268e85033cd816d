/** `drawbridge verdicts impact`: what a denial of an image would hit, before it is confirmed or after it was released. */
import { podImages } from '../kube/containers.ts'
import { checkPodShape } from '../kube/podShape.ts'
import { digestOfImageId, isDigest, parseReference } from '../kube/reference.ts'
import { isObject } from '../kube/shape.ts'
import type { PodSpec } from '../kube/types.ts'
import type { FindFlagged, QuarantineMode } from '../policy/types.ts'
import type { ImageVerdict } from '../verdicts/types.ts'
import { clean, EXIT, table, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { findWaysBack, waysBackText } from './rollbacks.ts'
import type { WayBack } from './rollbacks.ts'
import { NEVER_SENT } from './scan.ts'
import type { WorkloadAccess } from './workloadAccess.ts'

/** All names of one image. */
interface Image {
  readonly digests: ReadonlySet<string>
  readonly references: ReadonlySet<string>
}

interface Hit {
  readonly namespace: string
  readonly workload: string
  readonly pods: number
  readonly image: string
  /** What happens there to new pods once a verdict denies the image everywhere. */
  readonly newPods: 'denied' | 'warned' | 'allowed'
  /** The last good revision of a workload whose new pods would be denied, where there is one. */
  readonly rollback?: WayBack | undefined
}

const NEW_PODS: Readonly<Record<QuarantineMode, Hit['newPods']>> = { enforce: 'denied', warn: 'warned', off: 'allowed' }
/** As in `verdicts show`: enough of a name that nobody hits another one by accident. */
const SHORTEST_BEGINNING = 8

/** Runs the command. Throws UnusableError for what names no image and no verdict. */
export async function showImpact(
  target: string,
  options: { readonly output: 'table' | 'json' },
  access: WorkloadAccess,
  io: CliIo,
): Promise<number> {
  for (const note of access.notes) io.err(`drawbridge: ${clean(note)}\n`)
  const found = imageOf(target, access.verdicts)
  const hits = await findHits(found, access)
  const ownerOf = ({ namespace, workload }: Hit): string => `${namespace}/${workload}`
  const owners = hits.filter(({ newPods }) => newPods === 'denied').map(ownerOf)
  const ways = await findWaysBack(owners, asIfDenied(found, access.findFlagged), access, io)
  const items = hits.map((hit) => ({ ...hit, rollback: ways.get(ownerOf(hit)) }))
  const sum = items.reduce((total, { pods }) => total + pods, 0)
  const denied = items.filter(({ newPods }) => newPods === 'denied')
  if (options.output === 'json') io.out(`${JSON.stringify({ items }, undefined, 2)}\n`)
  else if (items.length === 0) io.out('No pod runs it.\n')
  else {
    const rows = items.map(({ namespace, workload, pods, newPods, image }) => [
      namespace,
      workload,
      String(pods),
      newPods,
      image,
    ])
    io.out(table(['NAMESPACE', 'WORKLOAD', 'PODS', 'NEW PODS', 'IMAGE'], rows))
    const namespaces = new Set(denied.map(({ namespace }) => namespace)).size
    const running = `${count(sum, 'pod')} ${sum === 1 ? 'runs' : 'run'} it`
    io.out(
      `\n${running}; a denial would hit ${count(denied.length, 'workload')} in ${count(namespaces, 'namespace')}\n${waysBackText(ways)}`,
    )
  }
  return EXIT.ok
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`

/** What a digest, an image reference, or the name of a verdict (or the beginning of one) stands for, with every other name that verdicts know for it. */
function imageOf(target: string, verdicts: readonly ImageVerdict[]): Image {
  const named = verdicts.filter(({ name }) => name === target)
  const begun = target.length < SHORTEST_BEGINNING ? [] : verdicts.filter(({ name }) => name.startsWith(target))
  const [verdict, ...others] = named.length > 0 ? named : begun
  if (others.length > 0)
    throw new UnusableError(`${target} is the beginning of ${others.length + 1} verdicts; give more of the name`)
  if (verdict !== undefined) return union([verdict])
  if (isDigest(target))
    return union(
      verdicts.filter(({ digests }) => digests.includes(target)),
      target,
    )
  if (/^(sha256|ref)-[0-9a-f]*$/.test(target))
    throw new UnusableError(
      target.length < SHORTEST_BEGINNING
        ? `${target} is too short for the beginning of a name; give ${SHORTEST_BEGINNING} characters or more`
        : `no verdict ${target}; "drawbridge verdicts list" shows them`,
    )
  const reference = parseReference(target)
  if (reference === undefined) throw new UnusableError(`${target} is no digest, no image and no name of a verdict`)
  const { digest, normalized } = reference
  if (digest !== undefined)
    return union(
      verdicts.filter(({ digests }) => digests.includes(digest)),
      digest,
    )
  return union(
    verdicts.filter(({ references }) => references.includes(normalized)),
    undefined,
    normalized,
  )
}

function union(verdicts: readonly ImageVerdict[], digest?: string, reference?: string): Image {
  return {
    digests: new Set([...(digest === undefined ? [] : [digest]), ...verdicts.flatMap(({ digests }) => digests)]),
    references: new Set([
      ...(reference === undefined ? [] : [reference]),
      ...verdicts.flatMap(({ references }) => references),
    ]),
  }
}

async function findHits(image: Image, access: WorkloadAccess): Promise<readonly Hit[]> {
  const labels = await access.namespaces()
  const hits = new Map<string, Hit>()
  for await (const page of access.pods()) {
    for (const { namespace, workload, object } of page) {
      const name = runs(object, image)
      if (name === undefined) continue
      const key = `${namespace}/${workload}`
      const known = hits.get(key)
      const mode = namespace === NEVER_SENT ? 'off' : access.resolvePolicy(labels.get(namespace) ?? {}).quarantine
      hits.set(
        key,
        known === undefined
          ? { namespace, workload, pods: 1, image: name, newPods: NEW_PODS[mode] }
          : { ...known, pods: known.pods + 1 },
      )
    }
  }
  return [...hits].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, hit]) => hit)
}

/** What verdicts would say if one denied this image. */
function asIfDenied(target: Image, findFlagged: FindFlagged): FindFlagged {
  return (image, namespace) =>
    isNamed(image, target) ? { verdict: '', phase: 'denying', text: '' } : findFlagged(image, namespace)
}

/** Whether a pod that names an image by this text gets this one. */
function isNamed(text: string, { digests, references }: Image): boolean {
  const reference = parseReference(text)
  if (reference === undefined) return false
  return reference.digest === undefined ? references.has(reference.normalized) : digests.has(reference.digest)
}

/** The name by which a pod that has not ended uses the image; undefined: it does not. */
function runs(object: unknown, target: Image): string | undefined {
  const { metadata, spec, status } = isObject(object) ? object : {}
  const state = isObject(status) ? status : {}
  if (state['phase'] === 'Succeeded' || state['phase'] === 'Failed') return undefined
  if (checkPodShape(metadata ?? {}, spec, '') !== undefined) return undefined
  const images = podImages(spec as PodSpec)
  const named = images.find(({ image }) => isNamed(image, target))
  if (named !== undefined) return named.image
  for (const list of ['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses']) {
    for (const entry of Array.isArray(state[list]) ? (state[list] as readonly unknown[]) : []) {
      const { name, imageID } = isObject(entry) ? entry : {}
      const digest = typeof imageID === 'string' ? digestOfImageId(imageID) : undefined
      if (digest === undefined || !target.digests.has(digest)) continue
      return images.find(({ container }) => container === name)?.image ?? digest
    }
  }
  return undefined
}
