import type { Container, PodSpec } from './types.ts'

export type ContainerKind = 'init' | 'container' | 'ephemeral'

export interface ContainerVisit {
  /** `init` includes sidecars (init containers with `restartPolicy: Always`). */
  readonly kind: ContainerKind
  /** From the pod, for example `spec.initContainers[0]`. */
  readonly path: string
  readonly container: Container
}

/**
 * Every container of a pod: init (with sidecars), normal, ephemeral, in this order. The only way that checks reach containers,
 * so that none forgets a kind. Expects a spec that passed `checkPodShape`.
 */
export const containersOf = (spec: PodSpec): readonly ContainerVisit[] => [
  ...visits('init', 'spec.initContainers', spec.initContainers),
  ...visits('container', 'spec.containers', spec.containers),
  ...visits('ephemeral', 'spec.ephemeralContainers', spec.ephemeralContainers),
]

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
export const podImages = (spec: PodSpec): readonly PodImage[] => [
  ...containersOf(spec).flatMap(({ kind, path, container }) =>
    container.image ? [{ kind, path: `${path}.image`, image: container.image, container: container.name }] : [],
  ),
  ...(spec.volumes ?? []).flatMap((volume, index) =>
    volume.image?.reference
      ? [{ kind: 'volume' as const, path: `spec.volumes[${index}].image.reference`, image: volume.image.reference }]
      : [],
  ),
]

const visits = (
  kind: ContainerKind,
  path: string,
  containers: readonly Container[] | null | undefined,
): readonly ContainerVisit[] =>
  (containers ?? []).map((container, index) => ({ kind, path: `${path}[${index}]`, container }))
