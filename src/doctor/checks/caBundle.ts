/** Does every entry trust an authority that is valid, and is it the one that issued what is served? */
import { X509Certificate } from 'node:crypto'
import { certificatesIn } from '../../../certs/pem.ts'
import { liveEntries } from '../../../manifests/differences.ts'
import { sumOf } from '../metrics.ts'
import { at, objectOf, ok, problem, resourceOf, some, unknown, warning, word } from '../text.ts'
import type { Check, Finding, Installation } from '../types.ts'

const SOON_DAYS = 14
const DAY = 86_400_000

interface Bundle {
  readonly name: string
  readonly certificates: readonly X509Certificate[]
}

const read = (pem: string): readonly X509Certificate[] =>
  certificatesIn(pem).flatMap((text) => {
    try {
      return [new X509Certificate(text)]
    } catch {
      return []
    }
  })

const isValid = (certificate: X509Certificate, now: number): boolean =>
  Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo)
/** What a replica claims may be no time at all. */
const day = (milliseconds: number): string =>
  Math.abs(milliseconds) < 8.64e15 ? new Date(milliseconds).toISOString().slice(0, 10) : 'a day that is none'

/** Drawbridge writes caBundle itself where it keeps the certificates; elsewhere it comes with the objects. */
const todoOf = ({ kind, namespace, repair, workload }: Installation): string =>
  kind === 'outside'
    ? repair
    : `kubectl -n ${word(namespace)} rollout restart ${resourceOf(workload)} (it writes caBundle within seconds of its start; with tls.mountedSecret: docs/certificates.md)`

/** The certificate that is served, where its Secret may be read. Nothing of the Secret is ever printed. */
async function served({ reader, namespace }: Installation): Promise<X509Certificate | undefined> {
  const secret = objectOf(
    await reader.get(`/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/drawbridge-tls`),
  )
  const encoded = at(secret, 'data', 'tls.crt')
  return typeof encoded === 'string' ? read(Buffer.from(encoded, 'base64').toString('utf8'))[0] : undefined
}

function ofBundles(bundles: readonly Bundle[], now: number, todo: string): readonly Finding[] {
  const empty = bundles.filter(({ certificates }) => certificates.length === 0).map(({ name }) => name)
  const expired = bundles
    .filter(({ certificates }) => certificates.length > 0 && !certificates.some((one) => isValid(one, now)))
    .map(({ name }) => name)
  const key = ({ certificates }: Bundle): string => certificates.map(({ fingerprint256 }) => fingerprint256).join()
  const differing = new Set(bundles.filter(({ certificates }) => certificates.length > 0).map(key))
  return [
    ...(empty.length > 0
      ? [
          problem(
            `caBundle of ${some(empty)} holds no certificate: the API server cannot verify Drawbridge there`,
            todo,
          ),
        ]
      : []),
    ...(expired.length > 0
      ? [problem(`caBundle of ${some(expired)} holds only certificates that are not valid now`, todo)]
      : []),
    ...(differing.size > 1
      ? [problem(`caBundle is not the same in every entry (${differing.size} different ones)`, todo)]
      : []),
  ]
}

export const caBundle: Check = {
  id: 'ca-bundle',
  async run(installation) {
    const { configurations, configurationsWhy, now, replicas } = installation
    if (configurations === undefined) return [unknown(`caBundle: ${configurationsWhy}`)]
    const bundles = liveEntries(configurations).map(({ name, caBundle: text }) => ({
      name,
      certificates: read(Buffer.from(text, 'base64').toString('utf8')),
    }))
    if (bundles.length === 0) return [unknown('caBundle: no webhook entry is registered')]
    const todo = todoOf(installation)
    const found = [...ofBundles(bundles, now, todo)]
    const trusted = bundles[0]!.certificates
    const leaf = await served(installation)
    if (leaf !== undefined && found.length === 0) {
      const isTrusted = trusted.some((authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey))
      if (!isTrusted)
        found.push(problem('caBundle does not trust the serving certificate (Secret drawbridge-tls)', todo))
    }
    for (const { name, metrics } of replicas) {
      if (metrics?.get('drawbridge_ca_bundle_trusted')?.[0]?.value === 0 && found.length === 0)
        found.push(problem(`${name} says that caBundle does not trust what it serves`, todo))
      const seconds =
        metrics === undefined
          ? undefined
          : sumOf(metrics, 'drawbridge_certificate_expiry_seconds', { certificate: 'leaf' })
      if (
        seconds !== undefined &&
        metrics?.has('drawbridge_certificate_expiry_seconds') &&
        seconds < SOON_DAYS * 86_400
      )
        found.push(
          warning(
            `the serving certificate of ${name} expires on ${day(now + seconds * 1000)}`,
            'docs/certificates.md says who renews it; its log says why that did not happen',
          ),
        )
    }
    if (found.length > 0) return found
    const last = Math.max(...trusted.filter((one) => isValid(one, now)).map(({ validTo }) => Date.parse(validTo)))
    if (last - now < SOON_DAYS * DAY) return [warning(`the last authority in caBundle expires on ${day(last)}`, todo)]
    return [
      ok(
        `caBundle of ${bundles.length} entries is valid until ${day(last)}${leaf === undefined ? '' : ' and trusts what is served'}`,
      ),
    ]
  },
}
