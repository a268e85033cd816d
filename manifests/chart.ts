/**
 * The part of the Helm chart that is generated: CRDs, access rights, guards and webhook configurations, made by the same code as
 * `drawbridge manifests` and written as Helm templates (manifests/chart/templates/generated).
 *
 * What depends on an installation is rendered with a stand-in that no real text holds, and the stand-in is then replaced by a template expression;
 * what depends on a switch is rendered once for each of its values.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { dump, load } from 'js-yaml'

import { REPORTS_NAMESPACE } from '../src/kube/nodeReport.ts'
import {
  manifestsDirectory,
  readCrds,
  renderGuard,
  renderSafetyNet,
  renderVerdictGuard,
  renderWebhooks,
} from './render.ts'

const OWN_NAMESPACE = 'stand-in-for-the-own-namespace'
const EXCEPTED = 'stand-in-for-the-excepted'
const NAMESPACE_EXPRESSION = '{{ .Release.Namespace }}'

/** The Service of the chart that the API server calls. */
const SERVICE = 'drawbridge'

/** @throws Error when the text would be read as a template by Helm */
function withNamespace(text: string): string {
  if (text.includes('{{')) throw new Error('a generated manifest holds "{{", which Helm would read as a template')
  return text.replaceAll(OWN_NAMESPACE, NAMESPACE_EXPRESSION)
}

const generated = (from: string, text: string): string =>
  `{{- /* Generated from ${from} by \`make manifests\`; do not edit. */ -}}\n${text.trimEnd()}\n`

/** One text for each combination of switches, behind the condition that it is for. */
function choose(variants: readonly (readonly [condition: string, text: string])[]): string {
  const branches = variants.map(
    ([condition, text], index) => `{{- ${index === 0 ? 'if' : 'else if'} ${condition} }}\n${text.trimEnd()}\n`,
  )
  return `${branches.join('')}{{- end }}\n`
}

const on = (value: string): string => `.Values.${value}`
const off = (value: string): string => `(not .Values.${value})`

/** Annotations of the webhook configurations come from the values: cert-manager's injector, for example. */
const annotated = (text: string): string =>
  text.replaceAll(
    /^metadata:\n/gm,
    'metadata:\n  {{- with .Values.webhookAnnotations }}\n  annotations:\n    {{- toYaml . | nindent 4 }}\n  {{- end }}\n',
  )

/** The combinations of values that decide which webhook entries there are. */
const VARIANTS = (['namespaces', 'cluster'] as const).flatMap((scope) =>
  [false, true].map((podSecurityLabels) => ({ scope, podSecurityLabels })),
)
const variantName = ({ scope, podSecurityLabels }: (typeof VARIANTS)[number]): string =>
  podSecurityLabels ? `${scope}, Pod Security labels` : scope

interface Entry {
  readonly text: string
  readonly variants: readonly string[]
}

/** Adds one variant's entries to those of the others, each text once, in an order that is every variant's own. */
function merge(entries: readonly Entry[], texts: readonly string[], variant: string): readonly Entry[] {
  let at = 0
  return texts.reduce((merged, text) => {
    const found = merged.findIndex((entry) => entry.text === text)
    const [known, position] = found < 0 ? [undefined, at] : [merged[found], found]
    at = position + 1
    return merged.toSpliced(position, known === undefined ? 0 : 1, {
      text,
      variants: [...(known?.variants ?? []), variant],
    })
  }, entries)
}

/** One text, in which each entry stands under the variants that have it. */
function webhooks(): string {
  // kind -> the head of the object, and its entries
  const configurations = new Map<string, { readonly head: string; readonly entries: readonly Entry[] }>()
  for (const variant of VARIANTS) {
    const text = renderWebhooks({
      ...variant,
      endpoint: { service: { namespace: OWN_NAMESPACE, name: SERVICE } },
      ownNamespace: OWN_NAMESPACE,
    })
    for (const document of withNamespace(text).split(/^---\n/m)) {
      const [head = '', ...texts] = document.split(/^(?= {2}- name: )/m)
      const kind = /^kind: (.*)$/m.exec(head)?.[1] ?? ''
      const entries = configurations.get(kind)?.entries ?? []
      configurations.set(kind, { head, entries: merge(entries, texts, variantName(variant)) })
    }
  }
  const conditional = ({ text, variants }: Entry): string =>
    variants.length === VARIANTS.length
      ? text
      : `  {{- if has $variant (list ${variants.map((name) => `"${name}"`).join(' ')}) }}\n${text}  {{- end }}\n`
  const documents = [...configurations.values()].map(
    ({ head, entries }) => annotated(head) + entries.map(conditional).join(''),
  )
  const variant =
    '{{- $variant := printf "%s%s" .Values.quarantineScope (ternary ", Pod Security labels" "" .Values.podSecurityLabels) }}\n'
  return generated('src/kube/webhookEntries.ts', variant + documents.join('---\n'))
}

/** `'a', 'b'` of the guard's list becomes the same list with the release's namespace and the excepted ones, sorted. */
function withExcepted(text: string): string {
  return text.replace(/ in \[([^\]]*)\] \|\| /, (whole, list: string) => {
    const names = list.split(', ').map((name) => name.replaceAll("'", ''))
    const fixed = names.filter((name) => name !== OWN_NAMESPACE && name !== EXCEPTED)
    if (fixed.length + 2 !== names.length) throw new Error(`the guard's list of namespaces reads differently: ${whole}`)
    const literal = fixed.map((name) => `"${name}"`).join(' ')
    return ` in [LIST] || `.replace('LIST', `{{ include "drawbridge.unlabelled" (list . (list ${literal})) }}`)
  })
}

function guard(): string {
  const variants = [false, true].flatMap((podSecurityLabels) =>
    [false, true].map((required) => {
      const text = renderGuard({
        ownNamespace: OWN_NAMESPACE,
        podSecurityLabels,
        ...(required && { requireLabels: { except: [EXCEPTED] } }),
      })
      if (text.includes('{{')) throw new Error('the guard holds "{{", which Helm would read as a template')
      const switches = `${(podSecurityLabels ? on : off)('podSecurityLabels')} ${(required ? on : off)('requireLabels.enabled')}`
      return [`and ${switches}`, required ? withExcepted(text) : withNamespace(text)] as const
    }),
  )
  return generated('manifests/guard.ts', choose(variants))
}

interface Definition {
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Not in `crds/` of the chart: Helm never upgrades what is there. Kept when the chart is uninstalled: verdicts and grants outlive it. */
function crds(): string {
  const texts = readCrds().map((text) => {
    const definition = load(text) as Definition
    const annotations = { ...(definition.metadata['annotations'] as object), 'helm.sh/resource-policy': 'keep' }
    return dump({ ...definition, metadata: { ...definition.metadata, annotations } }, { lineWidth: -1, noRefs: true })
  })
  const text = withNamespace(texts.join('---\n'))
  return generated('manifests/crds', `{{- if .Values.crds.install }}\n${text}{{- end }}`)
}

/** manifests/rbac.yaml, with its reasons: they are the documentation of a right. */
function rbac(): string {
  const text = readFileSync(join(manifestsDirectory(), 'rbac.yaml'), 'utf8')
  return generated(
    'manifests/rbac.yaml',
    withNamespace(text.replaceAll(/^( *namespace:) drawbridge$/gm, `$1 ${OWN_NAMESPACE}`)),
  )
}

/** What the webhook entries are made with is two variables of the policy here. */
function safetyNet(): string {
  const text = withNamespace(renderSafetyNet({ ownNamespace: OWN_NAMESPACE, scope: 'namespaces' }))
  const switches = [
    ['verdictsEverywhere', '{{ eq .Values.quarantineScope "cluster" }}'],
    ['podSecurityEntries', '{{ .Values.podSecurityLabels }}'],
  ] as const
  return generated(
    'manifests/safetyNet.ts',
    switches.reduce((rendered, [name, expression]) => {
      const parts = rendered.split(`- name: ${name}\n      expression: 'false'\n`)
      if (parts.length !== 2) throw new Error(`the safety net's variable ${name} reads differently`)
      return parts.join(`- name: ${name}\n      expression: '${expression}'\n`)
    }, text),
  )
}

/** The profiles of manifests/seccomp as what `drawbridge seccomp-sync` reads. */
function seccompProfilesMap(): string {
  const folder = join(manifestsDirectory(), 'seccomp')
  const data = Object.fromEntries(
    readdirSync(folder)
      .toSorted()
      .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  )
  const labels = { 'app.kubernetes.io/name': 'drawbridge' }
  const metadata = { name: 'drawbridge-seccomp-profiles', namespace: REPORTS_NAMESPACE, labels }
  const text = dump({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, { lineWidth: -1, noRefs: true })
  return generated('manifests/seccomp', choose([['.Values.seccompSync.enabled', withNamespace(text)]]))
}

/** The generated templates of the chart: file name below `templates/generated` -> text. */
export function chartTemplates(): Readonly<Record<string, string>> {
  return {
    'crds.yaml': crds(),
    'guard.yaml': guard(),
    'rbac.yaml': rbac(),
    'safety-net.yaml': safetyNet(),
    'seccomp-profiles.yaml': seccompProfilesMap(),
    'verdict-guard.yaml': generated(
      'manifests/verdictGuard.ts',
      withNamespace(renderVerdictGuard({ ownNamespace: OWN_NAMESPACE })),
    ),
    'webhooks.yaml': webhooks(),
  }
}
