import { cutBytes, printable } from '../alerts/text.ts'
import type { ImageReference } from './name.ts'
import type { FlaggedVerdict, ShownEvidence } from './flagged.ts'
import { listOf } from './oneOrMany.ts'
import type { Answer } from './types.ts'

const MAX_BYTES = 1024

/**
 * The line of a verdict's denial or warning: what the sensor saw and when, how long it holds, and the ways out. At most 1 KiB of UTF-8; hostile text is
 * escaped. The first 250 characters say the essential, because warnings are cut there.
 *
 * Namespace and pod of the evidence are told only to the namespace they are from: what happens in one tenant's pods is no other tenant's business.
 */
export function denialText(subject: {
  readonly image: string
  readonly reference: ImageReference
  readonly verdict: FlaggedVerdict
  /** What the verdict means in `namespace`. */
  readonly answer: Exclude<Answer, 'none'>
  readonly namespace: string | undefined
  /** What a person adds to the commands where Drawbridge runs, for example ` --kubeconfig FILE`. */
  readonly commandSuffix?: string | undefined
}): string {
  const { image, reference, verdict, answer, namespace, commandSuffix = '' } = subject
  const { name } = verdict
  const evidence = strongestEvidence(verdict, namespace)
  const parts = [
    `image "${printable(image, 120)}" is ${answer === 'denying' ? 'denied' : `under suspicion${whyOnlyWarning(verdict)}`}: ${evidence === undefined ? printable(verdict.reason, 200) : seen(evidence, namespace)}`,
    `verdict ${name} until ${isoSecond(verdict.expiresAt)}`,
    ...(reference.digest === undefined
      ? [`way out: deploy ${printable(reference.repository, 120)}@sha256:<new digest> or a new tag`]
      : ['way out: deploy a fixed image with another digest']),
    `evidence: drawbridge verdicts show ${shortName(name)}${commandSuffix}`,
    `release: drawbridge verdicts release ${shortName(name)}${commandSuffix} --as fixed|false-positive|accepted --reason "..."`,
  ]
  return cutBytes(parts.join('; '), MAX_BYTES)
}

/** The commands take the beginning of a name; twelve digits tell verdicts apart, and the line stays readable. */
const shortName = (name: string): string => name.replace(/^(sha256|ref)-([0-9a-f]{12})[0-9a-f]*$/, '$1-$2')

function seen(evidence: ShownEvidence, namespace: string | undefined): string {
  const target = evidence.target === undefined || evidence.target === '' ? '' : ` of ${printable(evidence.target, 100)}`
  const own = namespace !== undefined && evidence.namespace === namespace && evidence.pod !== undefined
  const place = own ? ` in pod ${printable(`${namespace}/${evidence.pod}`, 130)}` : ''
  return `${evidence.detector} reported "${printable(evidence.rule, 100)}"${target}${place} at ${isoSecond(evidence.time)}`
}

/** Names no namespace: where it was denied, or by how many it is run, is no business of whoever asks. */
function whyOnlyWarning({ phase, reason, reach }: FlaggedVerdict): string {
  if (phase === 'pending')
    return ` (only a warning until a person decides: ${printable(reason.split(':', 1)[0] ?? '', 40)})`
  if (phase !== 'denying') return ''
  return reach?.elsewhere === 'denying'
    ? ' (only a warning: it ran here before, and all evidence is from another namespace)'
    : ' (only a warning: it is denied in another namespace, where the evidence is from)'
}

/** The strongest piece that counts here, the newest of equals. */
function strongestEvidence({ evidence }: FlaggedVerdict, namespace: string | undefined): ShownEvidence | undefined {
  return listOf(evidence).find((piece) => piece.own !== true || piece.namespace === namespace)
}

/** `2026-11-22T06:08:15Z`. */
function isoSecond(time: number): string {
  return Number.isFinite(time) && Math.abs(time) <= 8.64e15
    ? `${new Date(time).toISOString().slice(0, 19)}Z`
    : 'an unknown time'
}
