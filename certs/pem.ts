/** Certificates as text. */
import { X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g
/** A bundle is a handful of certificates; what is longer is something else. */
const MAX_CHARACTERS = 256 * 1024

/** Every certificate of a PEM text, each in one form, so that equal certificates are equal texts. What is no certificate is left out. */
export function certificatesIn(pem: string): readonly string[] {
  if (pem.length > MAX_CHARACTERS) return []
  return [...pem.matchAll(CERTIFICATE)].map((match) => {
    const lines = match[1]!.replaceAll(/\s+/g, '').match(/.{1,64}/g) ?? []
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  })
}

/** The DNS names and addresses that a certificate covers; none when it cannot be read. */
export function namesOf(certificate: string): readonly string[] {
  try {
    const names = new X509Certificate(certificate).subjectAltName ?? ''
    // Names with commas or quotes are quoted; Drawbridge's have none.
    return names.split(', ').flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? [])
  } catch {
    return []
  }
}
