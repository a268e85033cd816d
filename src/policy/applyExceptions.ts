/** The one matcher (rule 9 of docs/design.md), for webhook, scan and command line. The unit is one violation. */
import { containersOf } from '../kube/containers.ts'
import type { ImageMatch } from '../kube/imagePattern.ts'
import { parseReference } from '../kube/reference.ts'
import { printable, shorten } from '../kube/text.ts'
import type { PodSpec, PodTemplate } from '../kube/types.ts'
import {
  isExpired,
  matchAnyImage,
  requestedExceptions,
  type AdmissionException,
  type FindException,
} from './exceptions.ts'
import type { Violation } from './types.ts'

export interface ExceptionInput {
  readonly template: PodTemplate
  readonly namespace: string | undefined
  readonly find: FindException
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The name of the verdict that denies an image here and now; undefined: none does. Takes the image as written. */
  readonly isFlagged: (image: string) => string | undefined
}

/** Why an exception does not cover a violation. The first six do not depend on the violation: `unknown` to `service-account`. */
export type RefusalReason =
  | 'unknown'
  | 'malformed'
  | 'suspended'
  | 'expired'
  | 'namespace'
  | 'service-account'
  | 'check'
  | 'image'
  | 'flagged-image'

export interface ExceptionRefusal {
  readonly exception: string
  readonly reason: RefusalReason
  /** One line for people, at most 240 characters of printable ASCII; names the exception. */
  readonly text: string
}

export interface ExceptionOutcome {
  /** Not covered, in the order given. `whyNot` has one entry for each exception that was asked for. */
  readonly remaining: readonly (Violation & { readonly whyNot?: readonly ExceptionRefusal[] | undefined })[]
  /** Names of the exceptions that covered at least one violation, sorted. */
  readonly used: readonly string[]
  /** For people: what was wrong with the annotation, and for each exception that did not do what was asked one line. */
  readonly notes: readonly string[]
}

/**
 * Prepares the matcher for one pod: everything that does not depend on violations is found out once. The function that comes back takes the
 * violations of a profile and may be called for several profiles.
 *
 * A violation of a container needs **one** exception that matches namespace, service account, check and that container's image. A
 * violation of the pod needs one that matches the images of **all** containers and image volumes. Two never combine. An exception
 * is suspended where a verdict denies its image. What is asked for and not usable never denies by itself: an exception is not a requirement.
 * Linear in pod, violations and exceptions (at most 16); never throws for a template that passed `checkPodShape`.
 */
export const prepareExceptions = (input: ExceptionInput): ((violations: readonly Violation[]) => ExceptionOutcome) => {
  const { names, problems } = requestedExceptions(input.template.metadata)
  if (names.length === 0) return (violations) => ({ remaining: violations, used: [], notes: problems })
  const images = imagesOf(input.template.spec)
  const prepared = [...names].sort().map((name) => prepare(name, input, images))
  return (violations) => {
    const used = new Set<string>()
    const remaining = violations.flatMap((violation) => {
      const whyNot: ExceptionRefusal[] = []
      for (const { name, refuses } of prepared) {
        const refusal = refuses(violation)
        if (refusal === undefined) {
          used.add(name)
          return []
        }
        whyNot.push(refusal)
      }
      return [{ ...violation, whyNot }]
    })
    return { remaining, used: [...used].sort(), notes: [...problems, ...notesAbout(prepared, remaining)] }
  }
}

/** `prepareExceptions` for the violations of one profile. */
export const applyExceptions = (violations: readonly Violation[], input: ExceptionInput): ExceptionOutcome =>
  prepareExceptions(input)(violations)

interface Prepared {
  readonly name: string
  /** What makes it useless for this pod, whatever the violation. */
  readonly general: ExceptionRefusal | undefined
  /** Undefined: it covers the violation. */
  readonly refuses: (violation: Violation) => ExceptionRefusal | undefined
}

/** An image and where a person looks for it; the image is empty where none is named, which nothing matches. */
interface PlacedImage {
  readonly image: string
  readonly place: string
}

interface PodImages {
  readonly all: readonly PlacedImage[]
  /** By the container's path, for example `spec.initContainers[0]`: names may repeat in what no API server has seen. */
  readonly byContainer: ReadonlyMap<string, PlacedImage>
}

const imagesOf = (spec: PodSpec): PodImages => {
  const byContainer = new Map(
    containersOf(spec).map(({ path, container }) => [
      path,
      { image: container.image ?? '', place: `container "${printable(container.name, 63)}"` },
    ]),
  )
  const volumes = (spec.volumes ?? []).flatMap(({ name, image }) =>
    image == null ? [] : [{ image: image.reference ?? '', place: `volume "${printable(name, 63)}"` }],
  )
  return { all: [...byContainer.values(), ...volumes], byContainer }
}

const CONTAINER_PATH = /^(spec\.(?:initContainers|containers|ephemeralContainers)\[\d+\])\./u

/** The path of the container that a violation is about. Undefined: what cannot be tied to one container is the pod's. */
const containerPath = (violation: Violation, images: PodImages): string | undefined => {
  const path = violation.container === undefined ? undefined : CONTAINER_PATH.exec(violation.path)?.[1]
  return path !== undefined && images.byContainer.has(path) ? path : undefined
}

const prepare = (name: string, input: ExceptionInput, images: PodImages): Prepared => {
  const reading = input.find(name)
  const refusal = (reason: RefusalReason, text: string): ExceptionRefusal => ({
    exception: name,
    reason,
    text: shorten(`exception "${name}" ${text}`, MAX_REFUSAL),
  })
  if (reading === undefined) return useless(name, refusal('unknown', 'does not exist'))
  if (reading.problem !== undefined)
    return useless(name, refusal('malformed', `is malformed and counts nowhere: ${printable(reading.problem, 160)}`))
  const { exception } = reading
  const general = generalRefusal(exception, input, refusal)
  if (general !== undefined) return useless(name, general)

  const byImage = memoize((image: string): { readonly match: ImageMatch; readonly verdict: string | undefined } => {
    const match = matchAnyImage(exception.images, parseReference(image))
    return { match, verdict: match === 'matches' ? input.isFlagged(image) : undefined }
  })
  const refuseImages = (placed: readonly PlacedImage[], isPodLevel: boolean): ExceptionRefusal | undefined => {
    const foreign = placed.find(({ image }) => byImage(image).match !== 'matches')
    if (foreign !== undefined)
      return refusal('image', describeForeign(foreign, byImage(foreign.image).match, isPodLevel))
    const flagged = placed.find(({ image }) => byImage(image).verdict !== undefined)
    return flagged === undefined
      ? undefined
      : refusal(
          'flagged-image',
          `is suspended: verdict ${byImage(flagged.image).verdict} denies the image of ${flagged.place}`,
        )
  }
  // One answer for each container, for the pod and for each check, however many violations there are.
  const refusePod = memoize(() => refuseImages(images.all, true))
  const refuseContainer = memoize((path: string) => {
    const one = images.byContainer.get(path)
    return refuseImages(one === undefined ? images.all : [one], false)
  })
  const refuseCheck = memoize((check: string) => refusal('check', `does not list check ${printable(check, 80)}`))
  const checks = new Set(exception.checks)
  return {
    name,
    general: undefined,
    refuses: (violation) => {
      if (!checks.has(violation.check)) return refuseCheck(violation.check)
      const path = containerPath(violation, images)
      return path === undefined ? refusePod('') : refuseContainer(path)
    },
  }
}

const MAX_REFUSAL = 240

const useless = (name: string, general: ExceptionRefusal): Prepared => ({ name, general, refuses: () => general })

const generalRefusal = (
  exception: AdmissionException,
  { template, namespace, now }: ExceptionInput,
  refusal: (reason: RefusalReason, text: string) => ExceptionRefusal,
): ExceptionRefusal | undefined => {
  if (exception.suspended) return refusal('suspended', 'is suspended (spec.suspended)')
  if (isExpired(exception, now)) {
    const time = new Date(exception.expiresAt).toISOString().replace('.000Z', 'Z')
    return refusal('expired', `expired at ${time}`)
  }
  // Which namespaces it is for is nobody's business here.
  if (namespace === undefined || !exception.namespaces.includes(namespace))
    return refusal('namespace', `is not for namespace "${printable(namespace ?? '', 63)}"`)
  const account = serviceAccountOf(template.spec)
  if (!exception.serviceAccounts.includes('*') && !exception.serviceAccounts.includes(account))
    return refusal('service-account', `is not for service account "${printable(account, 100)}"`)
  return undefined
}

/** As the API server fills it in: the new name, else the deprecated one, else `default` (kubernetes/kubernetes:pkg/apis/core/v1/conversion.go). */
const serviceAccountOf = ({ serviceAccountName, serviceAccount }: PodSpec): string =>
  serviceAccountName || serviceAccount || 'default'

const describeForeign = ({ image, place }: PlacedImage, match: ImageMatch, isPodLevel: boolean): string => {
  const what =
    image === '' ? `does not match ${place}: no image` : `does not match "${printable(image, 90)}" of ${place}`
  if (match === 'pattern-without-tag') return `${what}: its pattern names no tag (write :* for any)`
  if (match === 'reference-by-digest') return `${what}: its pattern names a tag, the pod a digest`
  return isPodLevel ? `${what}; for the pod as a whole it must match every image` : what
}

/** What a person most wants to know of an exception that left violations over. */
const RANK: readonly RefusalReason[] = ['flagged-image', 'image', 'check']

const notesAbout = (prepared: readonly Prepared[], remaining: ExceptionOutcome['remaining']): readonly string[] => {
  const best = new Map<string, ExceptionRefusal>()
  for (const { whyNot } of remaining) {
    for (const refusal of whyNot ?? []) {
      const known = best.get(refusal.exception)
      if (known === undefined || RANK.indexOf(refusal.reason) < RANK.indexOf(known.reason))
        best.set(refusal.exception, refusal)
    }
  }
  return prepared.flatMap(({ name, general }) => {
    const note = general ?? best.get(name)
    return note === undefined ? [] : [note.text]
  })
}

const memoize = <T>(compute: (key: string) => T): ((key: string) => T) => {
  const known = new Map<string, T>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined || known.has(key)) return found as T
    const value = compute(key)
    known.set(key, value)
    return value
  }
}
