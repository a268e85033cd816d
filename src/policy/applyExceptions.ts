/** The one matcher (rule 9 of docs/design.md), for webhook, scan and command line. The unit is one violation. */
import { containersOf } from '../kube/containers.ts'
import type { ImageMatch } from '../kube/imagePattern.ts'
import { parseReference, type ImageReference } from '../kube/reference.ts'
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

export interface ExceptionOutcome {
  /** Not covered: of the violations given, as they are and in their order. */
  readonly remaining: readonly Violation[]
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
  const usable = prepared.flatMap(({ name, grant }) => (grant === undefined ? [] : [{ name, grant }]))
  return (violations) => {
    const used = new Set<string>()
    // Of what each exception refuses only the best is kept and written: a pod may break checks a hundred thousand times.
    const best = new Map<string, BestRefusal>()
    const remaining = violations.filter((violation) => {
      const place = placeOf(violation, images)
      const refusals: Refusal[] = []
      for (const { name, grant } of usable) {
        const refusal = grant.judge(violation.check, place)
        if (refusal === 'covered') {
          used.add(name)
          return false
        }
        refusals.push(refusal)
      }
      for (const [index, refusal] of refusals.entries()) {
        const { name, grant } = usable[index] as (typeof usable)[number]
        const known = best.get(name)
        if (known === undefined || RANK.indexOf(refusal) < RANK.indexOf(known.refusal))
          best.set(name, { refusal, text: grant.describe(refusal, violation.check, place) })
      }
      return true
    })
    const notes = prepared.flatMap(({ name, useless }) => useless ?? best.get(name)?.text ?? [])
    return { remaining, used: [...used].sort(), notes: [...problems, ...notes] }
  }
}

/** `prepareExceptions` for the violations of one profile. */
export const applyExceptions = (violations: readonly Violation[], input: ExceptionInput): ExceptionOutcome =>
  prepareExceptions(input)(violations)

/** Why a grant does not cover one violation. */
type Refusal = 'check' | 'image' | 'flagged-image'
type Answer = Refusal | 'covered'

/** What a person most wants to know of an exception that left violations over. */
const RANK: readonly Refusal[] = ['flagged-image', 'image', 'check']

interface BestRefusal {
  readonly refusal: Refusal
  /** One line for people, at most 240 characters of printable ASCII; names the exception. */
  readonly text: string
}

/** An exception that holds for the pod. A violation is given as its check and its container's place; undefined: the pod as a whole. */
interface Grant {
  /** Writes no text: it is asked for every violation. */
  readonly judge: (check: string, place: PlacedImage | undefined) => Answer
  readonly describe: (refusal: Refusal, check: string, place: PlacedImage | undefined) => string
}

type Prepared =
  | { readonly name: string; readonly grant: Grant; readonly useless?: undefined }
  /** `useless`: why it covers nothing of this pod, whatever the violation; as `BestRefusal.text`. */
  | { readonly name: string; readonly useless: string; readonly grant?: undefined }

/** An image and where a person looks for it; the image is empty where none is named, which nothing matches. */
interface PlacedImage {
  /** In `PodImages.all`. */
  readonly index: number
  readonly image: string
  readonly reference: ImageReference | undefined
  readonly place: string
}

interface PodImages {
  readonly all: readonly PlacedImage[]
  /** By the container's path, for example `spec.initContainers[0]`: names may repeat in what no API server has seen. */
  readonly byContainer: ReadonlyMap<string, PlacedImage>
}

const imagesOf = (spec: PodSpec): PodImages => {
  const containers = containersOf(spec).map(({ path, container }) => ({
    path,
    image: container.image ?? '',
    place: `container "${printable(container.name, 63)}"`,
  }))
  const volumes = (spec.volumes ?? []).flatMap(({ name, image }) =>
    image == null ? [] : [{ image: image.reference ?? '', place: `volume "${printable(name, 63)}"` }],
  )
  const all = [...containers, ...volumes].map(({ image, place }, index): PlacedImage => ({
    index,
    image,
    reference: parseReference(image),
    place,
  }))
  return { all, byContainer: new Map(containers.map(({ path }, index) => [path, all[index] as PlacedImage])) }
}

/**
 * The image of the container that a violation is about: `spec.initContainers[0].securityContext` begins with its path. Undefined: what cannot
 * be tied to one container is the pod's.
 */
const placeOf = ({ container, path }: Violation, images: PodImages): PlacedImage | undefined => {
  const end = container === undefined ? -1 : path.indexOf('].')
  return end === -1 ? undefined : images.byContainer.get(path.slice(0, end + 1))
}

const prepare = (name: string, input: ExceptionInput, images: PodImages): Prepared => {
  const reading = input.find(name)
  const write = (text: string): string => shorten(`exception "${name}" ${text}`, MAX_REFUSAL)
  if (reading === undefined) return { name, useless: write('does not exist') }
  if (reading.problem !== undefined)
    return { name, useless: write(`is malformed and counts nowhere: ${printable(reading.problem, 160)}`) }
  const { exception } = reading
  const useless = describeUseless(exception, input)
  return useless === undefined
    ? { name, grant: grantOf(exception, input, images, write) }
    : { name, useless: write(useless) }
}

const grantOf = (
  exception: AdmissionException,
  { isFlagged }: ExceptionInput,
  images: PodImages,
  write: (text: string) => string,
): Grant => {
  // One answer for each image and for the pod, however many violations there are.
  const answers: Answer[] = []
  const answerFor = (placed: PlacedImage): Answer => (answers[placed.index] ??= judgeImage(placed))
  const judgeImage = ({ image, reference }: PlacedImage): Answer => {
    if (matchAnyImage(exception.images, reference) !== 'matches') return 'image'
    return isFlagged(image) === undefined ? 'covered' : 'flagged-image'
  }
  let answerForPod: Answer | undefined
  const judgePod = (): Answer => {
    const refused = RANK_FOR_PODS.find((answer) => images.all.some((placed) => answerFor(placed) === answer))
    return refused ?? 'covered'
  }
  const checks = new Set(exception.checks)
  return {
    judge: (check, place) => {
      if (!checks.has(check)) return 'check'
      return place === undefined ? (answerForPod ??= judgePod()) : answerFor(place)
    },
    describe: (refusal, check, place) => {
      const placed = place ?? images.all.find((one) => answerFor(one) === refusal)
      if (refusal === 'check' || placed === undefined) return write(`does not list check ${printable(check, 80)}`)
      return write(
        refusal === 'image'
          ? describeForeign(placed, matchAnyImage(exception.images, placed.reference), place === undefined)
          : `is suspended: verdict ${isFlagged(placed.image)} denies the image of ${placed.place}`,
      )
    },
  }
}

/** A foreign image is said before a flagged one: it needs another exception in any case. */
const RANK_FOR_PODS = ['image', 'flagged-image'] as const

const MAX_REFUSAL = 240

/** Why an exception covers nothing of a pod, whatever the violation. */
const describeUseless = (
  exception: AdmissionException,
  { template, namespace, now }: ExceptionInput,
): string | undefined => {
  if (exception.suspended) return 'is suspended (spec.suspended)'
  if (isExpired(exception, now))
    return `expired at ${new Date(exception.expiresAt).toISOString().replace('.000Z', 'Z')}`
  // Which namespaces it is for is nobody's business here.
  if (namespace === undefined || !exception.namespaces.includes(namespace))
    return `is not for namespace "${printable(namespace ?? '', 63)}"`
  const account = serviceAccountOf(template.spec)
  return exception.serviceAccounts.includes('*') || exception.serviceAccounts.includes(account)
    ? undefined
    : `is not for service account "${printable(account, 100)}"`
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
