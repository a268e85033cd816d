/** An authority and its serving certificate, with keys, and what is known of them. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { KeyPair } from './authority.ts'
import { certificatesIn } from './pem.ts'
import type { Generation, Shared, Validity } from './rotation.ts'

/** What is stored of a generation. */
export interface Material {
  /** `key` is undefined where something else keeps the authority. */
  readonly authority: { readonly certificate: string; readonly key?: string | undefined }
  readonly leaf: KeyPair
}

/** A generation and what it was read from. */
export interface Held extends Generation {
  readonly material: Material
}

const NEVER: Validity = { from: Number.NaN, to: Number.NaN }

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

const validityOf = (certificate: X509Certificate | undefined): Validity =>
  certificate === undefined ? NEVER : { from: Date.parse(certificate.validFrom), to: Date.parse(certificate.validTo) }

function keyProblem(certificate: X509Certificate, key: string): string | undefined {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key)) ? undefined : 'has the key of another certificate'
  } catch {
    return 'has a damaged key'
  }
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  try {
    return certificate.verify(authority.publicKey)
  } catch {
    return false
  }
}

/**
 * What is known of a stored generation.
 *
 * @param names DNS names and addresses that the serving certificate must cover
 */
export function describeGeneration(material: Material, names: readonly string[]): Held {
  const leaf = readCertificate(material.leaf.certificate)
  // A file of authorities may hold several; the one that signed counts.
  const authorities = certificatesIn(material.authority.certificate)
  const chosen =
    authorities.find((one) => {
      const candidate = readCertificate(one)
      return leaf !== undefined && candidate !== undefined && isSignedBy(leaf, candidate)
    }) ?? authorities[0]
  const authority = chosen === undefined ? undefined : readCertificate(chosen)
  const { key } = material.authority
  const uncovered = (name: string): boolean =>
    leaf !== undefined && (isIP(name) ? leaf.checkIP(name) : leaf.checkHost(name)) === undefined
  const authorityDamage =
    authority === undefined
      ? 'is no certificate'
      : key === undefined
        ? undefined
        : (keyProblem(authority, key) ?? (authority.ca ? undefined : 'is not one of an authority'))
  const leafProblem = (): string | undefined => {
    if (leaf === undefined) return 'it is no certificate'
    const problem = keyProblem(leaf, material.leaf.key)
    if (problem !== undefined) return `it ${problem}`
    // Another's authority may have signed by way of one in between, which a client follows.
    if (key !== undefined && authority !== undefined && !isSignedBy(leaf, authority))
      return 'it is not signed by its authority'
    const name = names.find(uncovered)
    return name === undefined ? undefined : `it does not cover the name ${name}`
  }
  return {
    material,
    authority: chosen ?? '',
    authorityValidity: validityOf(authority),
    authorityDamage,
    leaf: certificatesIn(material.leaf.certificate)[0] ?? '',
    leafValidity: validityOf(leaf),
    leafDamage: leafProblem(),
  }
}

/** Describes every generation of what the replicas share. */
export function describeShared(shared: Shared<Material>, describe: (material: Material) => Held): Shared<Held> {
  return {
    current: describe(shared.current),
    ...(shared.next !== undefined && { next: describe(shared.next) }),
    previous: shared.previous,
  }
}
