import type { Container, PodSpec } from './types.ts'

export type ContainerKind = 'init' | 'container' | 'ephemeral'

export interface ContainerVisit {
  /** `init` includes sidecars (init containers with `restartPolicy: Always`). */
  readonly kind: ContainerKind
  /** From the pod, for example `spec.initContainers[0]`. */
  readonly path: string
  readonly container: Container
}

/** Paths of so many containers of a list are kept, since every check is told them and nearly none needs one; each is made when a pod has that many. */
const KEPT_PATHS = 1024

type Visit = (container: Container, path: string, kind: ContainerKind) => void

/** Visits one of the three lists. */
const visitorOf = (kind: ContainerKind, list: string): ((containers: readonly Container[], visit: Visit) => void) => {
  const paths: string[] = []
  return (containers, visit) => {
    while (paths.length < containers.length && paths.length < KEPT_PATHS) paths.push(`spec.${list}[${paths.length}]`)
    for (let index = 0; index < containers.length; index++)
      visit(containers[index] as Container, paths[index] ?? `spec.${list}[${index}]`, kind)
  }
}

const visitInit = visitorOf('init', 'initContainers')
const visitNormal = visitorOf('container', 'containers')
const visitEphemeral = visitorOf('ephemeral', 'ephemeralContainers')

/**
 * Calls `visit` for every container of a pod: init (with sidecars), normal, ephemeral, in this order. The only way that checks reach containers, so
 * that none forgets a kind. Expects a spec that passed `checkPodShape`.
 */
export const visitContainers = ({ initContainers, containers, ephemeralContainers }: PodSpec, visit: Visit): void => {
  if (initContainers != null) visitInit(initContainers, visit)
  visitNormal(containers, visit)
  if (ephemeralContainers != null) visitEphemeral(ephemeralContainers, visit)
}

/** What `visitContainers` visits, as a list. */
export const containersOf = (spec: PodSpec): readonly ContainerVisit[] => {
  const visits: ContainerVisit[] = []
  visitContainers(spec, (container, path, kind) => visits.push({ kind, path, container }))
  return visits
}

export interface PodImage {
  readonly kind: ContainerKind | 'volume'
  /** Of the reference itself: `spec.containers[0].image`, `spec.volumes[2].image.reference`. */
  readonly path: string
  /** As written in the pod; may be no valid reference. */
  readonly image: string
  /** The container's name; absent for an image volume. */
  readonly container?: string | undefined
}

/**
 * Every image that a pod names, image volumes included (https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/).
 * Absent and empty references are left out. Expects a spec that passed `checkPodShape`.
 */
export const podImages = (spec: PodSpec): readonly PodImage[] => {
  const images: PodImage[] = []
  visitContainers(spec, ({ image, name }, path, kind) => {
    if (image) images.push({ kind, path: `${path}.image`, image, container: name })
  })
  for (const [index, { image }] of (spec.volumes ?? []).entries())
    if (image?.reference)
      images.push({ kind: 'volume', path: `spec.volumes[${index}].image.reference`, image: image.reference })
  return images
}
