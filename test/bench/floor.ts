/**
 * The floor: the least that any webhook in Node can cost. A process of its own with a bare `node:https` server that reads the body, parses the
 * review and answers `allowed: true`, with the TLS settings of Drawbridge's listener and its certificate. An alert gets the same answer.
 *
 *   node dist/test/bench/floor.js CERTIFICATE KEY
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'

const [certificate, key] = process.argv.slice(2)
if (certificate === undefined || key === undefined) throw new Error('wanted a certificate and a key')

const server = createServer(
  { cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.2', keepAlive: true, noDelay: true },
  (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const review = JSON.parse(body.toString('utf8')) as { readonly request?: { readonly uid: string } }
      const answer = JSON.stringify({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid: review.request?.uid, allowed: true },
      })
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(answer) })
      response.end(answer)
    })
  },
)
server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
// It never outlives whoever measures.
process.on('disconnect', () => process.exit(0))
