/** A webhook that allows everything and writes down who was asked what. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One request: the path it came by, and what it was about, for example `UPDATE pods/ephemeralcontainers`. */
export interface Recorded {
  readonly path: string
  readonly what: string
  readonly namespace: string
  readonly user: string
}

export interface Recorder {
  readonly url: string
  /** PEM */
  readonly caBundle: string
  /** What was recorded since the last call, in order. */
  readonly take: () => readonly Recorded[]
  /** Stops listening; the API server then finds nobody. */
  readonly stop: () => Promise<void>
}

interface Review {
  readonly request: {
    readonly uid: string
    readonly operation: string
    readonly resource: { readonly resource: string }
    readonly subResource?: string
    readonly namespace: string
    readonly userInfo: { readonly username: string }
  }
}

/** A key and a self-signed certificate for 127.0.0.1, in PEM. */
export function selfSigned(): { readonly key: Buffer; readonly cert: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'recorder-'))
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=recorder', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', [...request, ...subject, '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' })
  const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)]
  rmSync(folder, { recursive: true })
  return { key, cert }
}

/** Listens on a free port of loopback with a self-signed certificate. */
export async function startRecorder(): Promise<Recorder> {
  const { key, cert } = selfSigned()
  const recorded: Recorded[] = []
  const server = createServer({ key, cert }, (incoming, answer) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review
      const { uid, operation, resource, subResource, namespace, userInfo } = review.request
      const what = `${operation} ${resource.resource}${subResource === undefined ? '' : `/${subResource}`}`
      recorded.push({ path: incoming.url?.split('?')[0] ?? '', what, namespace, user: userInfo.username })
      answer.setHeader('content-type', 'application/json')
      answer.end(
        JSON.stringify({
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          response: { uid, allowed: true },
        }),
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caBundle: cert.toString(),
    take: () => recorded.splice(0),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
