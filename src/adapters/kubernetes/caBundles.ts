/**
 * `caBundle` of every webhook of the two configurations `drawbridge`: read, and written by server-side apply of that one field, so that whoever owns the
 * rest of the object (Helm, kubectl) keeps it.
 */
import type { StoredBundles } from '../../../certs/keeper.ts'
import { certificatesIn } from '../../../certs/pem.ts'
import { KubernetesError } from './client.ts'
import type { KubernetesClient } from './client.ts'

const GROUP_PATH = '/apis/admissionregistration.k8s.io/v1'
const CONFIGURATIONS = [
  ['MutatingWebhookConfiguration', 'mutatingwebhookconfigurations'],
  ['ValidatingWebhookConfiguration', 'validatingwebhookconfigurations'],
] as const
export const CONFIGURATION_NAME = 'drawbridge'
const FIELD_MANAGER = 'drawbridge'
const MAX_BASE64_CHARACTERS = 512 * 1024

interface Configuration {
  readonly kind: string
  readonly path: string
  readonly resourceVersion: string
  /** Counts changes of what the object says; labels and the like are none. */
  readonly generation: number
  readonly webhooks: readonly { readonly name: string; readonly bundle: readonly string[] }[]
}

interface Live {
  readonly metadata: { readonly resourceVersion: string; readonly generation?: number }
  readonly webhooks?: readonly {
    readonly name: string
    readonly clientConfig?: { readonly caBundle?: unknown } | null
  }[]
}

async function readConfiguration(
  client: Pick<KubernetesClient, 'request'>,
  kind: string,
  resource: string,
): Promise<Configuration | undefined> {
  const path = `${GROUP_PATH}/${resource}/${CONFIGURATION_NAME}`
  try {
    const { metadata, webhooks = [] } = (await client.request('GET', path)) as Live
    return {
      kind,
      path,
      resourceVersion: metadata.resourceVersion,
      generation: metadata.generation ?? 0,
      webhooks: webhooks.map(({ name, clientConfig }) => {
        const caBundle = clientConfig?.caBundle
        const text = typeof caBundle === 'string' ? caBundle.slice(0, MAX_BASE64_CHARACTERS) : ''
        return { name, bundle: certificatesIn(Buffer.from(text, 'base64').toString('utf8')) }
      }),
    }
  } catch (error) {
    if (error instanceof KubernetesError && error.status === 404) return undefined
    throw error
  }
}

async function applyBundle(
  client: Pick<KubernetesClient, 'request'>,
  { kind, path, resourceVersion, webhooks }: Configuration,
  caBundle: string,
): Promise<boolean> {
  try {
    await client.request('PATCH', path, {
      contentType: 'application/apply-patch+yaml',
      // Forced: whoever wrote something else here is who is to be put right.
      query: { fieldManager: FIELD_MANAGER, force: 'true' },
      body: {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind,
        // Exactly the object that was read: a webhook that has gone meanwhile must not come back with nothing but a caBundle.
        metadata: { name: CONFIGURATION_NAME, resourceVersion },
        webhooks: webhooks.map(({ name }) => ({ name, clientConfig: { caBundle } })),
      },
    })
    return true
  } catch (error) {
    if (error instanceof KubernetesError && (error.status === 409 || error.status === 404)) return false
    throw error
  }
}

/**
 * Reads what every webhook trusts; configurations that are not there trust nobody and are asked nothing.
 *
 * @throws KubernetesError when they cannot be read; so does `replace` when they cannot be written
 */
export async function readCaBundles(client: Pick<KubernetesClient, 'request'>): Promise<StoredBundles> {
  const found = await Promise.all(CONFIGURATIONS.map(([kind, resource]) => readConfiguration(client, kind, resource)))
  const configurations = found.filter((one) => one !== undefined)
  return {
    bundles: configurations.flatMap(({ webhooks }) => webhooks.map(({ bundle }) => bundle)),
    version: configurations.map(({ kind, generation }) => `${kind} ${generation}`).join(),
    async replace(bundle) {
      const caBundle = Buffer.from(bundle.join('')).toString('base64')
      const differing = configurations.filter(({ webhooks }) =>
        webhooks.some((webhook) => webhook.bundle.join('') !== bundle.join('')),
      )
      const written = await Promise.all(differing.map((one) => applyBundle(client, one, caBundle)))
      return written.every(Boolean)
    },
  }
}
