/** Client certificates for tests. */
import { generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'
import type { KeyPair } from '../../certs/authority.ts'

const HOUR = 3600_000

/** Issues a client certificate, valid from an hour before `now` until `now` + `lifetime` (milliseconds). */
export function clientCertificate(
  authority: KeyPair,
  names: { readonly commonName: string; readonly dnsName?: string; readonly uri?: string },
  now: number,
  lifetime = HOUR,
): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey)
  certificate.serialNumber = '4d'
  certificate.validity.notBefore = new Date(now - HOUR)
  certificate.validity.notAfter = new Date(now + lifetime)
  certificate.setSubject([{ name: 'commonName', value: names.commonName }])
  certificate.setIssuer(forge.pki.certificateFromPem(authority.certificate).subject.attributes)
  const altNames = [
    ...(names.dnsName === undefined ? [] : [{ type: 2, value: names.dnsName }]),
    ...(names.uri === undefined ? [] : [{ type: 6, value: names.uri }]),
  ]
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false },
    { name: 'extKeyUsage', clientAuth: true },
    ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName', altNames }]),
  ])
  certificate.sign(forge.pki.privateKeyFromPem(authority.key), forge.md.sha256.create())
  return { certificate: forge.pki.certificateToPem(certificate), key: privateKey }
}
