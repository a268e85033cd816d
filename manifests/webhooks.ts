/** The webhook configuration objects, made from the table of entries (src/kube/webhookEntries.ts). */
import { SIGNIFICANT_CHANGE, webhookEntries } from '../src/kube/webhookEntries.ts'
import type { QuarantineScope, WebhookEntry } from '../src/kube/webhookEntries.ts'

/** How the API server reaches Drawbridge. */
export type Endpoint =
  | { readonly url: string }
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number | undefined } }

export interface WebhookOptions {
  readonly endpoint: Endpoint
  /** PEM of the CA (or CAs, during a rotation); absent where something else fills it in. */
  readonly caBundle?: string | undefined
  /** The namespace that Drawbridge itself runs in, never sent: it must be able to start while it is down. */
  readonly ownNamespace: string
  readonly scope: QuarantineScope
  /** Also send what namespaces with upstream's Pod Security labels concern. Default false. */
  readonly podSecurityLabels?: boolean | undefined
}

/** A MutatingWebhookConfiguration or ValidatingWebhookConfiguration, ready for YAML. */
export interface WebhookConfiguration {
  readonly apiVersion: 'admissionregistration.k8s.io/v1'
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration'
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly webhooks: readonly Readonly<Record<string, unknown>>[]
}

function clientConfig(options: WebhookOptions, path: string): Readonly<Record<string, unknown>> {
  const ca = options.caBundle === undefined ? {} : { caBundle: Buffer.from(options.caBundle).toString('base64') }
  if ('url' in options.endpoint) return { url: options.endpoint.url.replace(/\/+$/, '') + path, ...ca }
  const { namespace, name, port } = options.endpoint.service
  return { service: { namespace, name, path, port: port ?? 443 }, ...ca }
}

function matchConditions({ clusterScoped }: WebhookEntry): Readonly<Record<string, unknown>> {
  if (clusterScoped === undefined)
    return { matchConditions: [{ name: 'significant-change', expression: SIGNIFICANT_CHANGE }] }
  const { matchCondition } = clusterScoped
  return matchCondition === undefined ? {} : { matchConditions: [{ name: 'concerned', expression: matchCondition }] }
}

/** Namespaces that nothing of ours is asked about, whatever their labels. */
export const excludedNamespaces = (ownNamespace: string): readonly string[] => [
  ...new Set(['kube-system', ownNamespace]),
]

/**
 * The two configuration objects, named `drawbridge`.
 *
 * @param options where Drawbridge listens, its CA, its namespace and the reach of verdicts
 */
export function webhookConfigurations(options: WebhookOptions): readonly WebhookConfiguration[] {
  const excluded = excludedNamespaces(options.ownNamespace)
  const webhook = (entry: WebhookEntry): Readonly<Record<string, unknown>> => ({
    name: entry.name,
    clientConfig: clientConfig(options, entry.path),
    failurePolicy: entry.failurePolicy,
    ...(entry.clusterScoped
      ? {}
      : {
          namespaceSelector: {
            // The API server itself sets this label; nobody else can.
            matchExpressions: [
              { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: excluded },
              ...entry.namespaceLabels,
            ],
          },
        }),
    rules: entry.rules,
    ...matchConditions(entry),
    matchPolicy: 'Equivalent',
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds: 5,
    admissionReviewVersions: ['v1'],
    ...(entry.type === 'mutating' ? { reinvocationPolicy: 'IfNeeded' } : {}),
  })
  const entries = webhookEntries(options.scope, options.podSecurityLabels)
  const configuration = (kind: WebhookConfiguration['kind'], type: WebhookEntry['type']): WebhookConfiguration => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name: 'drawbridge', labels: { 'app.kubernetes.io/name': 'drawbridge' } },
    webhooks: entries.filter((entry) => entry.type === type).map(webhook),
  })
  return [
    configuration('MutatingWebhookConfiguration', 'mutating'),
    configuration('ValidatingWebhookConfiguration', 'validating'),
  ]
}
