/**
 * Who sends this request? `Authorization: Bearer TOKEN`, Basic with the token as the password (Falco and Tracee cannot set a header, but
 * curl turns `https://falco:TOKEN@host/` into Basic), a service account's token, or a client certificate.
 */
import { hash, timingSafeEqual } from 'node:crypto'
import type { CertificateName, ClientCertificate } from './clientCertificate.ts'
import { bearsName } from './clientCertificate.ts'

/** One sender, and what it may do. It is recognised by exactly one of `tokens`, `certificate` and `serviceAccount`. */
export interface Credential {
  readonly name: string
  /** Each of them is accepted: while a token is replaced there are two. */
  readonly tokens?: readonly string[] | undefined
  readonly certificate?: CertificateName | undefined
  /** `namespace/name`. */
  readonly serviceAccount?: string | undefined
  /** Undefined: every source. */
  readonly sources?: readonly string[] | undefined
  /** The only node whose containers it may accuse. */
  readonly node?: string | undefined
  /** Its node is the one that the service account's token is bound to; a token without one is refused. */
  readonly nodeFromToken?: boolean | undefined
  /** Undefined: no limit. */
  readonly alertsPerSecond?: number | undefined
}

/** What a request shows of its sender. */
export interface Presented {
  readonly authorization?: string | undefined
  /** Verified; undefined: none was shown, or none that the client CA signed. */
  readonly certificate?: ClientCertificate | undefined
}

export type Authentication =
  | { readonly kind: 'accepted'; readonly credential: Credential; readonly node?: string | undefined }
  | { readonly kind: 'refused'; readonly message: string }
  /** Whoever could tell cannot be asked now. */
  | { readonly kind: 'unavailable'; readonly message: string }

/** What the API server says of a token. */
export type TokenAnswer =
  | { readonly kind: 'valid'; readonly username: string; readonly node?: string | undefined }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'unavailable' }

/** Longer headers are not credentials of ours; the bound keeps hashing cheap. */
const MAXIMUM_HEADER = 8192

const digestOf = (text: string): Buffer => hash('sha256', text, 'buffer')

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
export function credentialChecker<T extends Pick<Credential, 'tokens'>>(
  credentials: readonly T[],
): (header: string | undefined) => T | undefined {
  const hashed = credentials.flatMap((credential) =>
    (credential.tokens ?? []).map((token) => ({ credential, digest: digestOf(token) })),
  )
  return (header) => {
    const token = presentedToken(header)
    if (token === undefined || token === '') return undefined
    const digest = digestOf(token)
    let found: T | undefined
    for (const one of hashed) {
      if (timingSafeEqual(one.digest, digest)) found = one.credential
    }
    return found
  }
}

/**
 * The `namespace/name` that a service account's token (a JWT) claims to be of. Nothing is verified: it only saves questions to the API
 * server about tokens that cannot be a sender's.
 */
function claimedServiceAccount(token: string): string | undefined {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token)?.[1]
  if (payload === undefined) return undefined
  try {
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { readonly sub?: unknown } | null
    return typeof claims?.sub === 'string' ? serviceAccountOf(claims.sub) : undefined
  } catch {
    return undefined
  }
}

const serviceAccountOf = (username: string): string | undefined => {
  const match = /^system:serviceaccount:([^:/]{1,63}):([^:/]{1,253})$/.exec(username)
  return match === null ? undefined : `${match[1]}/${match[2]}`
}

const NO_CREDENTIAL: Authentication = {
  kind: 'refused',
  message: 'no valid credential: send the alert token as Bearer token or as Basic password',
}

/**
 * Creates the check of the alert endpoints. An `Authorization` header decides alone where there is one, so that a wrong token is never
 * covered up by a certificate; without it the certificate does. Where several credentials name the same sender, the first one counts.
 *
 * @param reviewToken asks the API server about a service account's token; absent: there is no API server
 */
export function createAuthenticator(
  credentials: readonly Credential[],
  reviewToken?: (token: string) => Promise<TokenAnswer>,
): (presented: Presented) => Promise<Authentication> {
  const byToken = credentialChecker(credentials)

  const byServiceAccount = async (token: string): Promise<Authentication> => {
    const find = (account: string | undefined): Credential | undefined =>
      account === undefined ? undefined : credentials.find(({ serviceAccount }) => serviceAccount === account)
    if (reviewToken === undefined || find(claimedServiceAccount(token)) === undefined) return NO_CREDENTIAL
    const answer = await reviewToken(token)
    if (answer.kind === 'unavailable')
      return { kind: 'unavailable', message: 'the API server cannot be asked about this token now; try again' }
    // The API server's word, not the claim.
    const credential = answer.kind === 'valid' ? find(serviceAccountOf(answer.username)) : undefined
    if (credential === undefined || answer.kind === 'invalid') return NO_CREDENTIAL
    const node = credential.nodeFromToken === true ? answer.node : credential.node
    if (credential.nodeFromToken === true && node === undefined)
      return { kind: 'refused', message: 'the token names no node: use a token that is bound to a pod or a node' }
    return { kind: 'accepted', credential, node }
  }

  return async ({ authorization, certificate }) => {
    if (authorization !== undefined) {
      const credential = byToken(authorization)
      if (credential !== undefined) return { kind: 'accepted', credential, node: credential.node }
      const token = presentedToken(authorization)
      return token === undefined ? NO_CREDENTIAL : byServiceAccount(token)
    }
    const credential =
      certificate === undefined
        ? undefined
        : credentials.find(({ certificate: name }) => name !== undefined && bearsName(certificate, name))
    return credential === undefined ? NO_CREDENTIAL : { kind: 'accepted', credential, node: credential.node }
  }
}
