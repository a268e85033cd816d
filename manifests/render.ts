/** The manifests as text: what `drawbridge manifests` prints and what lies beside this file. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { dump } from 'js-yaml'

import { guardObjects } from './guard.ts'
import type { GuardOptions, KubernetesObject } from './guard.ts'
import { safetyNetObjects } from './safetyNet.ts'
import type { SafetyNetOptions } from './safetyNet.ts'
import { verdictGuardObjects } from './verdictGuard.ts'
import type { VerdictGuardOptions } from './verdictGuard.ts'
import { webhookConfigurations } from './webhooks.ts'
import type { WebhookConfiguration, WebhookOptions } from './webhooks.ts'

/**
 * The package's manifests/ folder, found from any file of the package: source, compiled or bundled.
 *
 * @param from the folder of the file that asks, for example `import.meta.dirname`
 * @throws Error when there is none above it
 */
export function manifestsDirectory(from: string = import.meta.dirname): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'manifests')
    if (existsSync(join(candidate, 'crds'))) return candidate
    if (dirname(folder) === folder) throw new Error(`no manifests/crds folder in or above ${from}`)
  }
}

/** The texts of the CRDs, by file name. */
export function readCrds(directory: string = manifestsDirectory()): readonly string[] {
  const folder = join(directory, 'crds')
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
}

const documents = (objects: readonly (WebhookConfiguration | KubernetesObject)[]): string =>
  objects.map((object) => dump(object, { lineWidth: -1, noRefs: true })).join('---\n')

/** The webhook configurations alone, as YAML documents. */
export function renderWebhooks(options: WebhookOptions): string {
  return documents(webhookConfigurations(options))
}

/** The guard of the opt-in alone, as YAML documents. */
export function renderGuard(options: GuardOptions): string {
  return documents(guardObjects(options))
}

/** The guard of verdicts alone, as YAML documents. */
export function renderVerdictGuard(options: VerdictGuardOptions): string {
  return documents(verdictGuardObjects(options))
}

/** The safety net alone, as YAML documents. */
export function renderSafetyNet(options: SafetyNetOptions): string {
  return documents(safetyNetObjects(options))
}

/**
 * CRDs, the guards, the safety net and webhook configurations as one stream of YAML documents for `kubectl apply -f -`.
 *
 * @param options where Drawbridge listens, its CA, its namespace and user, the reach of verdicts, and which namespaces need no label
 * @throws Error when the package's manifests folder is missing, the URL is one that the API server refuses, or a name is none
 */
export function renderManifests(options: WebhookOptions & GuardOptions & VerdictGuardOptions): string {
  if ('url' in options.endpoint) checkUrl(options.endpoint.url)
  if (options.caBundle !== undefined && !options.caBundle.includes('-----BEGIN CERTIFICATE-----')) {
    throw new Error('the CA file holds no PEM certificate (-----BEGIN CERTIFICATE-----)')
  }
  return (
    [
      ...readCrds(),
      renderGuard(options),
      renderVerdictGuard(options),
      renderSafetyNet(options),
      renderWebhooks(options),
    ]
      .map((text) => text.trimEnd())
      .join('\n---\n') + '\n'
  )
}

/** https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#url */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:') throw new Error(`the webhook URL must be https://host:port, not ${text}`)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new Error('the webhook URL may hold no user, query or fragment: the API server refuses them')
  }
}
