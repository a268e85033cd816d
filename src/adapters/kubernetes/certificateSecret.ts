/** The Secret that all replicas share their authority and serving certificate by: made by whoever comes first, written only over what was read. */
import type { StoredCertificates } from '../../../certs/keeper.ts'
import { decodeSecret, encodeSecret, SECRET_KEYS } from '../../../certs/secret.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'

export interface CertificateSecretOptions {
  readonly client: Pick<KubernetesClient, 'request'>
  /** The namespace that Drawbridge runs in. */
  readonly namespace: string
  readonly name: string
}

const LABELS = { 'app.kubernetes.io/name': 'drawbridge' } as const
/** Base64 of what is looked at; certs/secret.ts has the limit on the text itself. */
const MAX_BASE64_CHARACTERS = 512 * 1024

/** The texts of Drawbridge's keys; what is too long is cut, and then no certificate. */
function textsOf(secret: unknown): ReadonlyMap<string, string> {
  const { data } = secret as { readonly data?: Readonly<Record<string, unknown>> | null }
  return new Map(
    SECRET_KEYS.flatMap((key): [string, string][] => {
      const value = data !== null && data !== undefined && Object.hasOwn(data, key) ? data[key] : undefined
      if (typeof value !== 'string') return []
      return [[key, Buffer.from(value.slice(0, MAX_BASE64_CHARACTERS), 'base64').toString('utf8')]]
    }),
  )
}

const isLost = (error: unknown): boolean =>
  error instanceof KubernetesError && (error.status === 409 || error.status === 404)

/**
 * Reads the Secret; it need not be there.
 *
 * @throws KubernetesError when it cannot be read; so does `replace` when it cannot be written
 */
export async function readCertificateSecret(options: CertificateSecretOptions): Promise<StoredCertificates> {
  const { client, namespace, name } = options
  const folder = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`
  const path = `${folder}/${encodeURIComponent(name)}`
  const secret = await client.request('GET', path).catch((error: unknown) => {
    if (error instanceof KubernetesError && error.status === 404) return undefined
    throw error
  })
  const written = async (request: Promise<unknown>): Promise<boolean> => {
    try {
      await request
      return true
    } catch (error) {
      // Somebody was faster, or deleted it: the next look says which.
      if (isLost(error)) return false
      throw error
    }
  }
  const encoded = (content: Parameters<typeof encodeSecret>[0]): Readonly<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(encodeSecret(content)).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    )
  if (secret === undefined) {
    return {
      content: undefined,
      async replace(content) {
        const metadata = { name, labels: LABELS }
        const body = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data: encoded(content) }
        try {
          await client.request('POST', folder, { body })
          return true
        } catch (error) {
          if (error instanceof KubernetesError && error.reason === 'AlreadyExists') return false
          throw error
        }
      },
    }
  }
  const { resourceVersion } = (secret as { readonly metadata: { readonly resourceVersion: string } }).metadata
  return {
    content: decodeSecret(textsOf(secret)),
    replace: (content) => {
      const absent = Object.fromEntries(SECRET_KEYS.map((key) => [key, null]))
      const body = { metadata: { resourceVersion }, data: { ...absent, ...encoded(content) } }
      return written(client.request('PATCH', path, { contentType: 'application/merge-patch+json', body }))
    },
  }
}
