/** What the verdicts say of the images of one object. */
import type { PodImage } from '../kube/containers.ts'
import { podImages } from '../kube/containers.ts'
import type { AdmissionRequest, PodTemplate } from '../kube/types.ts'
import type { FindFlagged, FlaggedImage, NamespacePolicy } from './types.ts'

/** A flagged image and where the object names it. */
export interface FlaggedUse extends FlaggedImage {
  readonly path: string
  readonly image: string
  /** Whether this request is denied because of it. */
  readonly denies: boolean
}

/** The request whose images are looked up, and by whom. */
interface Lookup {
  readonly request: AdmissionRequest
  readonly policy: NamespacePolicy
  readonly findFlagged?: FindFlagged | undefined
}

/** The verdict that denies an image in this namespace: there, exceptions for the image are suspended. */
export const denyingVerdict = ({ request, policy, findFlagged }: Lookup, image: string): string | undefined => {
  const flagged = policy.quarantine === 'enforce' ? findFlagged?.(image, request.namespace) : undefined
  return flagged?.phase === 'denying' ? flagged.verdict : undefined
}

/** One entry for each image and verdict, at the first place that names the image; what the old object ran already denies nothing (rule 4). */
export const findFlaggedImages = (
  { request, policy, findFlagged }: Lookup,
  images: readonly PodImage[],
  previous: PodTemplate | undefined,
): readonly FlaggedUse[] => {
  if (!findFlagged || policy.quarantine === 'off') return []
  const before = new Set(previous ? podImages(previous.spec).map(({ image }) => image) : [])
  const seen = new Set<string>()
  return images.flatMap(({ image, path }) => {
    // One line per image and verdict, however many containers use it.
    if (seen.has(image)) return []
    seen.add(image)
    const flagged = findFlagged(image, request.namespace)
    if (!flagged) return []
    const denies = policy.quarantine === 'enforce' && flagged.phase === 'denying' && !before.has(image)
    return [{ ...flagged, image, path, denies }]
  })
}

/** Whether new pods with one of these images are denied in the namespace: then a way back is of use. */
export const deniesNewPods = (
  flagged: readonly Pick<FlaggedImage, 'phase'>[],
  { quarantine }: Pick<NamespacePolicy, 'quarantine'>,
): boolean => quarantine === 'enforce' && flagged.some(({ phase }) => phase === 'denying')
