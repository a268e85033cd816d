/** Compares what the API server holds with what this version registers: webhook configurations entry by entry, and other objects by their spec. */
import { webhookEntries } from '../src/kube/webhookEntries.ts'
import { webhookConfigurations } from './webhooks.ts'
import type { WebhookConfiguration } from './webhooks.ts'

/** One place in which an object is not what it should be. */
export interface Difference {
  /** `ValidatingWebhookConfiguration drawbridge: enforce.drawbridge.dev`. */
  readonly object: string
  /** Undefined: the object as a whole is missing, or is nothing of this version. */
  readonly field?: string | undefined
  /** As short text for people. */
  readonly found: string
  readonly wanted: string
}

type Fields = Readonly<Record<string, unknown>>

const MAX_SHOWN = 120

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The same text for the same value, whatever the order of its keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isFields(value)) return JSON.stringify(value) ?? 'null'
  const parts = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`)
  return `{${parts.join(',')}}`
}

const show = (value: unknown): string => {
  if (value === undefined) return 'not set'
  const text = typeof value === 'string' ? value : canonical(value)
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}...`
}

/** What the API server fills in where nothing is said; so an absent field and this value are the same. */
const WEBHOOK_DEFAULTS: Fields = { objectSelector: {}, namespaceSelector: {}, matchConditions: [] }
/** Where it is called, and by whom it is trusted, depends on the installation. */
const OF_THE_INSTALLATION: readonly string[] = ['name', 'clientConfig']

/** Both configurations as the API server holds them, unchecked; undefined: not there. */
export interface LiveConfigurations {
  readonly mutating: unknown
  readonly validating: unknown
}

/** An entry of a live configuration. */
export interface LiveEntry {
  readonly kind: WebhookConfiguration['kind']
  readonly name: string
  /** Where it is called, without the path: `https://host:port`, or `service namespace/name:port`. */
  readonly endpoint: string
  readonly path: string
  /** base64 of PEM; empty: none. */
  readonly caBundle: string
  readonly fields: Fields
}

/** Every entry of both configurations, in their order. What has no name is left out: the API server takes none such. */
export function liveEntries({ mutating, validating }: LiveConfigurations): readonly LiveEntry[] {
  const of = (kind: LiveEntry['kind'], object: unknown): readonly LiveEntry[] => {
    const webhooks = isFields(object) && Array.isArray(object['webhooks']) ? (object['webhooks'] as unknown[]) : []
    return webhooks.flatMap((fields) => {
      if (!isFields(fields) || typeof fields['name'] !== 'string') return []
      const config = isFields(fields['clientConfig']) ? fields['clientConfig'] : {}
      const caBundle = typeof config['caBundle'] === 'string' ? config['caBundle'] : ''
      return [{ kind, name: fields['name'], ...endpointOf(config), caBundle, fields }]
    })
  }
  return [...of('MutatingWebhookConfiguration', mutating), ...of('ValidatingWebhookConfiguration', validating)]
}

/** A URL may have a path in front of ours, so only the known paths say where ours begins. */
const PATH = /\/(mutate|validate)(-[a-z]+|\/[a-z-]+)$/

function endpointOf(config: Fields): Pick<LiveEntry, 'endpoint' | 'path'> {
  const { url, service } = config
  if (typeof url === 'string') {
    const path = PATH.exec(url)?.[0] ?? ''
    return { endpoint: url.slice(0, url.length - path.length), path }
  }
  if (!isFields(service)) return { endpoint: 'nowhere', path: '' }
  const { namespace, name, port = 443, path = '' } = service
  return { endpoint: `service ${String(namespace)}/${String(name)}:${String(port)}`, path: String(path) }
}

/** What is known of the registered entries before they are compared. */
export interface ComparedWith {
  /** The namespace that Drawbridge runs in. */
  readonly ownNamespace: string
  /** What drawbridge.yaml says; undefined: what the registered entries look like. */
  readonly podSecurityLabels?: boolean | undefined
}

/**
 * Every place in which the live configurations differ from what this version registers; empty: none. Which of its two scopes was chosen is known to the
 * configurations alone, so that is taken from them.
 */
export function webhookDifferences(live: LiveConfigurations, options: ComparedWith): readonly Difference[] {
  const entries = liveEntries(live)
  const names = new Set(entries.map(({ name }) => name))
  const own = (scope: 'namespaces' | 'cluster'): boolean =>
    webhookEntries(scope).every(
      ({ name }) => names.has(name) || webhookEntries(other(scope)).some((one) => one.name === name),
    )
  const scope = own('cluster') && !own('namespaces') ? 'cluster' : 'namespaces'
  const podSecurityLabels = options.podSecurityLabels ?? [...names].some((name) => name.startsWith('pod-security-'))
  const wanted = webhookConfigurations({
    endpoint: { url: 'https://not.compared' },
    ownNamespace: options.ownNamespace,
    scope,
    podSecurityLabels,
  })
  const differences = wanted.flatMap((configuration) => {
    const { kind } = configuration
    const object = `${kind} drawbridge`
    if ((kind.startsWith('Mutating') ? live.mutating : live.validating) === undefined)
      return [{ object, found: 'not registered', wanted: 'registered' }]
    const mine = entries.filter((entry) => entry.kind === kind)
    return [
      ...configuration.webhooks.flatMap((webhook) => compareEntry(object, webhook, mine)),
      ...mine
        .filter(({ name }) => !configuration.webhooks.some((webhook) => webhook['name'] === name))
        .map(({ name }) => ({ object: `${object}: ${name}`, found: 'registered', wanted: 'no such entry' })),
    ]
  })
  const endpoints = [...new Set(entries.map(({ endpoint }) => endpoint))]
  return endpoints.length <= 1
    ? differences
    : [
        ...differences,
        {
          object: 'webhook configurations drawbridge',
          field: 'clientConfig',
          found: endpoints.slice(0, 4).join(', '),
          wanted: 'one place for all entries',
        },
      ]
}

const other = (scope: 'namespaces' | 'cluster') => (scope === 'cluster' ? 'namespaces' : 'cluster')

function compareEntry(object: string, wanted: Fields, live: readonly LiveEntry[]): readonly Difference[] {
  const name = String(wanted['name'])
  const entry = live.find((one) => one.name === name)
  if (entry === undefined) return [{ object: `${object}: ${name}`, found: 'missing', wanted: 'registered' }]
  const url = (wanted['clientConfig'] as { readonly url: string }).url
  const path = url.slice('https://not.compared'.length)
  return [
    ...fieldDifferences(
      `${object}: ${name}`,
      { ...WEBHOOK_DEFAULTS, ...wanted },
      { ...WEBHOOK_DEFAULTS, ...entry.fields },
      OF_THE_INSTALLATION,
    ),
    ...(entry.path === path
      ? []
      : [{ object: `${object}: ${name}`, field: 'path', found: show(entry.path), wanted: path }]),
  ]
}

function fieldDifferences(
  object: string,
  wanted: Fields,
  live: Fields,
  without: readonly string[] = [],
): readonly Difference[] {
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(live)])].filter((key) => !without.includes(key))
  return keys.flatMap((key) =>
    canonical(wanted[key]) === canonical(live[key])
      ? []
      : [{ object, field: key, found: show(live[key]), wanted: show(wanted[key]) }],
  )
}

/** Empty objects and lists, and what the API server fills into rules of policies, say nothing. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults)
  if (!isFields(value)) return value
  const kept = Object.entries(value)
    .map(([key, inner]) => [key, withoutDefaults(inner)] as const)
    .filter(([key, inner]) => !(key === 'scope' && inner === '*'))
    .filter(([key, inner]) => !(key === 'conversion' && canonical(inner) === '{"strategy":"None"}'))
    .filter(([, inner]) => !(isFields(inner) && Object.keys(inner).length === 0))
    .filter(([, inner]) => !(Array.isArray(inner) && inner.length === 0))
  return Object.fromEntries(kept)
}

/**
 * How the spec (or, without one, the rules) of an object of ours differs from the live one. Fields that the API server fills in do not count.
 *
 * @param wanted an object as this version writes it
 * @param live the object as the API server holds it, unchecked
 */
export function specDifferences(
  wanted: { readonly kind: string; readonly metadata: { readonly name: string } },
  live: unknown,
): readonly Difference[] {
  const object = `${wanted.kind} ${wanted.metadata.name}`
  const bodyOf = (from: unknown): Fields => {
    const body = isFields(from) ? (from['spec'] ?? { rules: from['rules'] }) : {}
    return withoutDefaults(body) as Fields
  }
  return fieldDifferences(object, bodyOf(wanted), bodyOf(live))
}

/** One line for people. */
export const differenceText = ({ object, field, found, wanted }: Difference): string =>
  field === undefined
    ? `${object} is ${found}, should be ${wanted}`
    : `${object}: ${field} is ${found}, should be ${wanted}`
