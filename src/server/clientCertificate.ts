/** Names in the certificates of clients. What verifies them is the TLS listener, by the client CA alone. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** How a credential names a client certificate: by exactly one of these. Names are compared as a whole: a wildcard is no match. */
export interface CertificateName {
  readonly commonName?: string | undefined
  /** A subject alternative name of the kind DNS; upper and lower case are the same. */
  readonly dnsName?: string | undefined
  /** A subject alternative name of the kind URI, for example a SPIFFE ID. */
  readonly uri?: string | undefined
}

/** A verified certificate. */
export interface ClientCertificate {
  /** Undefined when there is none, or more than one. */
  readonly commonName?: string | undefined
  /** In lower case. */
  readonly dnsNames: readonly string[]
  readonly uris: readonly string[]
}

/** Whether the certificate has this name. */
export function bearsName(certificate: ClientCertificate, name: CertificateName): boolean {
  if (name.uri !== undefined) return certificate.uris.includes(name.uri)
  if (name.dnsName !== undefined) return certificate.dnsNames.includes(name.dnsName.toLowerCase())
  return name.commonName !== undefined && certificate.commonName === name.commonName
}

/** `DNS:a, URI:"spiffe://b, c"`: Node quotes a value as JSON where it could be mistaken for two names (CVE-2021-44532). */
const ALTERNATIVE_NAME = /([^:,]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/gy

/** Reads `subjectAltName` of node:crypto. All or nothing: a text that is not understood to its end has no names. */
export function readAlternativeNames(text: string | undefined): Pick<ClientCertificate, 'dnsNames' | 'uris'> {
  const dnsNames: string[] = []
  const uris: string[] = []
  let end = 0
  for (const match of (text ?? '').matchAll(ALTERNATIVE_NAME)) {
    const [whole, kind, raw = ''] = match
    end += whole.length
    const value = raw.startsWith('"') ? parseQuoted(raw) : raw
    if (value === undefined) return { dnsNames: [], uris: [] }
    if (kind === 'DNS') dnsNames.push(value.toLowerCase())
    if (kind === 'URI') uris.push(value)
  }
  return end === (text ?? '').length ? { dnsNames, uris } : { dnsNames: [], uris: [] }
}

function parseQuoted(text: string): string | undefined {
  try {
    return String(JSON.parse(text))
  } catch {
    return undefined
  }
}

/**
 * Returns a function that gives the verified certificate of a connection, or undefined. It is read once for each connection; that it has
 * not expired since is looked at every time, because sensors keep connections for days.
 *
 * @param now milliseconds since the epoch
 */
export function clientCertificates(now: () => number): (socket: Socket) => ClientCertificate | undefined {
  const known = new WeakMap<Socket, { readonly certificate: ClientCertificate; readonly validTo: number }>()

  return (socket) => {
    const tls = socket as Partial<Pick<TLSSocket, 'authorized' | 'getPeerX509Certificate'>>
    // Not `authorized` alone: it is also true for a resumed TLS 1.3 session that never showed a certificate.
    if (tls.authorized !== true) return undefined
    let entry = known.get(socket)
    if (entry === undefined) {
      const peer = tls.getPeerX509Certificate?.call(socket)
      if (peer === undefined) return undefined
      const commonName: unknown = peer.toLegacyObject().subject?.CN
      entry = {
        certificate: {
          commonName: typeof commonName === 'string' ? commonName : undefined,
          ...readAlternativeNames(peer.subjectAltName),
        },
        validTo: peer.validToDate.getTime(),
      }
      known.set(socket, entry)
    }
    return now() < entry.validTo ? entry.certificate : undefined
  }
}
