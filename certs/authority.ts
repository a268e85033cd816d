/**
 * A certificate authority of Drawbridge's own and the serving certificates it issues.
 * node-forge writes the certificates; the keys come from Node's native generator, which is many times faster than forge's.
 */
import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { isIP } from 'node:net'
import type Forge from 'node-forge'

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

const DAY = 24 * 60 * 60 * 1000
/** Clocks of API servers and of this machine differ: certificates start a little in the past. */
const CLOCK_SKEW = 60 * 60 * 1000

/** Ten years. */
const AUTHORITY_LIFETIME = 3650 * DAY
/** One year. */
const LEAF_LIFETIME = 365 * DAY

/** Loaded when a certificate has to be made, which is once a year: it costs 2 MiB. */
const loadForge = async (): Promise<typeof Forge> => (await import('node-forge')).default

async function generateRsaKey(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
}

/** RFC 5280 wants a positive serial of at most 20 bytes; equal serials of one issuer break browsers and caches. */
function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.toString('hex')
}

function newCertificate(
  forge: typeof Forge,
  publicKey: string,
  commonName: string,
  now: number,
  lifetime: number,
): Forge.pki.Certificate {
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = randomSerial()
  certificate.validity.notBefore = new Date(now - CLOCK_SKEW)
  certificate.validity.notAfter = new Date(now + lifetime)
  certificate.setSubject([{ name: 'commonName', value: commonName }])
  return certificate
}

/** Creates a self-signed CA, valid from a little before `now` until `lifetime` after it (milliseconds; default ten years). */
export async function createAuthority(now: number, lifetime = AUTHORITY_LIFETIME): Promise<KeyPair> {
  const forge = await loadForge()
  const { publicKey, privateKey } = await generateRsaKey()
  const certificate = newCertificate(forge, publicKey, `drawbridge-ca-${randomBytes(4).toString('hex')}`, now, lifetime)
  certificate.setIssuer(certificate.subject.attributes)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ])
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create())
  return { certificate: forge.pki.certificateToPem(certificate), key: privateKey }
}

/** Issues a serving certificate for DNS names and IP addresses, valid until `lifetime` after `now` (milliseconds; default one year). */
export async function issueLeaf(
  authority: KeyPair,
  names: readonly string[],
  now: number,
  lifetime = LEAF_LIFETIME,
): Promise<KeyPair> {
  const forge = await loadForge()
  const { publicKey, privateKey } = await generateRsaKey()
  const issuer = forge.pki.certificateFromPem(authority.certificate)
  const certificate = newCertificate(forge, publicKey, 'drawbridge', now, lifetime)
  certificate.setIssuer(issuer.subject.attributes)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    {
      name: 'subjectAltName',
      altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
    },
    { name: 'authorityKeyIdentifier', keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
  ])
  certificate.sign(forge.pki.privateKeyFromPem(authority.key), forge.md.sha256.create())
  return { certificate: forge.pki.certificateToPem(certificate), key: privateKey }
}

function isKeyOf(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

/**
 * Says why a serving certificate cannot be used at a time, or undefined when it can.
 * One pure question, so that "is it still good in 30 days?" is the same code as "is it good now?".
 */
export function certificateProblem(
  authorityCertificate: string,
  leaf: KeyPair,
  names: readonly string[],
  at: number,
): string | undefined {
  let certificate: X509Certificate
  let authority: X509Certificate
  try {
    certificate = new X509Certificate(leaf.certificate)
    authority = new X509Certificate(authorityCertificate)
  } catch (error) {
    return `not a readable certificate: ${error instanceof Error ? error.message : String(error)}`
  }
  if (!isKeyOf(certificate, leaf.key)) return 'its private key is damaged or belongs to another certificate'
  if (!certificate.verify(authority.publicKey)) return 'not signed by the authority beside it'
  for (const [what, one] of [
    ['certificate', certificate],
    ['authority', authority],
  ] as const) {
    if (at < Date.parse(one.validFrom)) return `${what} is not valid before ${one.validFrom}`
    if (at >= Date.parse(one.validTo)) return `${what} expired at ${one.validTo}`
  }
  for (const name of names) {
    const covered = isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)
    if (covered === undefined) return `does not cover the name ${name}`
  }
  return undefined
}

/** Milliseconds since the epoch at which a PEM certificate stops being valid. */
export function expiresAt(certificate: string): number {
  return Date.parse(new X509Certificate(certificate).validTo)
}
