/**
 * Credentials of HTTP requests: `Authorization: Bearer TOKEN`, or Basic with the token as the password
 * (Falco and Tracee cannot set a header, but curl turns `https://falco:TOKEN@host/` into Basic).
 */
import { createHash, timingSafeEqual } from 'node:crypto'

/** A token and what it may do. `sources` undefined: every source. */
export interface Credential {
  readonly name: string
  readonly token: string
  readonly sources?: readonly string[] | undefined
}

/** Longer headers are not credentials of ours; the bound keeps hashing cheap. */
const MAXIMUM_HEADER = 8192

const hash = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest()

function presentedToken(header: string | undefined): string | undefined {
  if (header === undefined || header.length > MAXIMUM_HEADER) return undefined
  const match = /^(bearer|basic) +(\S+) *$/i.exec(header)
  if (match === null) return undefined
  const [, scheme, value] = match
  if (scheme!.toLowerCase() === 'bearer') return value
  const decoded = Buffer.from(value!, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon < 0 ? undefined : decoded.slice(colon + 1)
}

/**
 * Returns a function that finds the credential of an `Authorization` header, or undefined.
 * Every token is compared, by hash and in constant time, so that neither length nor position shows in the time taken.
 */
export function credentialChecker(
  credentials: readonly Credential[],
): (header: string | undefined) => Credential | undefined {
  const hashed = credentials.map((credential) => ({ credential, digest: hash(credential.token) }))
  return (header) => {
    const token = presentedToken(header)
    if (token === undefined || token === '') return undefined
    const digest = hash(token)
    let found: Credential | undefined
    for (const one of hashed) {
      if (timingSafeEqual(one.digest, digest)) found = one.credential
    }
    return found
  }
}
