import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as fc from 'fast-check'
import { loadAll } from 'js-yaml'

import { manifestsDirectory, renderManifests, renderWebhooks } from '../../manifests/render.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import type { LabelTerm } from '../../src/kube/labelSelector.ts'
import { entriesByPath, webhookEntries } from '../../src/kube/webhookEntries.ts'
import type { QuarantineScope, WebhookEntry } from '../../src/kube/webhookEntries.ts'

type Labels = Readonly<Record<string, string>>

/** How the API server reads a label selector: a NotIn matches an absent key too. */
const OPERATORS: Readonly<
  Record<LabelTerm['operator'], (value: string | undefined, values: readonly string[]) => boolean>
> = {
  Exists: (value) => value !== undefined,
  DoesNotExist: (value) => value === undefined,
  In: (value, values) => value !== undefined && values.includes(value),
  NotIn: (value, values) => value === undefined || !values.includes(value),
}

const matches = (terms: readonly LabelTerm[], labels: Labels): boolean =>
  terms.every(({ key, operator, values = [] }) => OPERATORS[operator](labels[key], values))

const serving = (
  scope: QuarantineScope,
  labels: Labels,
  resource: string,
  type: WebhookEntry['type'],
): readonly string[] =>
  webhookEntries(scope)
    .filter(
      (entry) =>
        entry.type === type &&
        matches(entry.namespaceLabels, labels) &&
        entry.rules.some((rule) => rule.resources.includes(resource)),
    )
    .map((entry) => entry.name.replace('.drawbridge.dev', ''))

const labelled = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).map(([key, value]) => [`drawbridge.dev/${key}`, value]))

describe('webhook entries', () => {
  const cases: readonly (readonly [Labels, QuarantineScope, string, string, string])[] = [
    // labels, scope, mutating pods, validating pods, validating deployments
    [{}, 'namespaces', '', '', ''],
    [{ enforce: 'standard' }, 'namespaces', 'mutate', 'enforce', 'verdicts'],
    [{ enforce: 'standard', warn: 'restricted', audit: 'restricted' }, 'namespaces', 'mutate', 'enforce', 'verdicts'],
    [{ enforce: 'standard', quarantine: 'off', seccomp: 'off' }, 'namespaces', 'mutate', 'enforce', 'verdicts'],
    [{ seccomp: 'RuntimeDefault' }, 'namespaces', 'mutate-seccomp-only', '', ''],
    [{ seccomp: 'off' }, 'namespaces', '', '', ''],
    [{ quarantine: 'enforce' }, 'namespaces', '', 'verdicts-quarantine-only', 'verdicts-quarantine-only'],
    [{ quarantine: 'typing-mistake' }, 'namespaces', '', 'verdicts-quarantine-only', 'verdicts-quarantine-only'],
    [{ quarantine: 'off' }, 'namespaces', '', '', ''],
    [
      { quarantine: 'warn', warn: 'baseline' },
      'namespaces',
      '',
      'verdicts-quarantine-only',
      'verdicts-quarantine-only',
    ],
    [{ warn: 'baseline' }, 'namespaces', '', 'advise-warn', 'advise-warn'],
    [{ warn: 'baseline', audit: 'restricted' }, 'namespaces', '', 'advise-warn', 'advise-warn'],
    [{ audit: 'restricted' }, 'namespaces', '', 'advise-audit', 'advise-audit'],
    [
      { warn: 'baseline', quarantine: 'off' },
      'namespaces',
      '',
      'advise-warn-quarantine-off',
      'advise-warn-quarantine-off',
    ],
    [
      { audit: 'baseline', quarantine: 'off' },
      'namespaces',
      '',
      'advise-audit-quarantine-off',
      'advise-audit-quarantine-off',
    ],
    [{}, 'cluster', '', 'verdicts-cluster', 'verdicts-cluster'],
    [{ enforce: 'standard' }, 'cluster', 'mutate', 'enforce', 'verdicts'],
    [{ quarantine: 'off' }, 'cluster', '', '', ''],
    [{ warn: 'baseline' }, 'cluster', '', 'verdicts-cluster', 'verdicts-cluster'],
    [
      { warn: 'baseline', quarantine: 'off' },
      'cluster',
      '',
      'advise-warn-quarantine-off',
      'advise-warn-quarantine-off',
    ],
    [{ enforce: 'standard', 'when-down': 'net' }, 'namespaces', 'mutate-net', 'enforce-net', 'verdicts-net'],
    [{ enforce: 'standard', 'when-down': 'deny' }, 'namespaces', 'mutate', 'enforce', 'verdicts'],
    [{ enforce: 'standard', 'when-down': 'Net' }, 'namespaces', 'mutate', 'enforce', 'verdicts'],
    [{ seccomp: 'RuntimeDefault', 'when-down': 'net' }, 'namespaces', 'mutate-seccomp-only-net', '', ''],
    [
      { quarantine: 'enforce', 'when-down': 'net' },
      'namespaces',
      '',
      'verdicts-quarantine-only-net',
      'verdicts-quarantine-only-net',
    ],
    [{ 'when-down': 'net' }, 'cluster', '', 'verdicts-cluster-net', 'verdicts-cluster-net'],
    [{ warn: 'baseline', 'when-down': 'net' }, 'namespaces', '', 'advise-warn', 'advise-warn'],
    [{ 'when-down': 'net' }, 'namespaces', '', '', ''],
  ]
  for (const [labels, scope, mutatingPods, pods, deployments] of cases) {
    it(`${JSON.stringify(labels)} with scope ${scope}: ${[mutatingPods, pods, deployments].join(' | ')}`, () => {
      const all = labelled(labels)
      assert.equal(serving(scope, all, 'pods', 'mutating').join(), mutatingPods)
      assert.equal(serving(scope, all, 'pods', 'validating').join(), pods)
      assert.equal(serving(scope, all, 'pods/ephemeralcontainers', 'validating').join(), pods)
      assert.equal(serving(scope, all, 'deployments', 'validating').join(), deployments)
    })
  }

  it('never sends one request twice, and misses no namespace that asks for something', () => {
    const value = fc.constantFrom(undefined, 'off', 'warn', 'enforce', 'restricted')
    fc.assert(
      fc.property(
        fc.record({
          enforce: value,
          warn: value,
          audit: value,
          seccomp: value,
          quarantine: value,
          'when-down': fc.constantFrom(undefined, 'deny', 'net', 'typing-mistake'),
        }),
        fc.constantFrom('namespaces' as const, 'cluster' as const),
        fc.constantFrom('pods', 'pods/ephemeralcontainers', 'pods/resize', 'deployments', 'cronjobs', 'podtemplates'),
        (labels, scope, resource) => {
          const set = Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== undefined)) as Labels
          const { enforce, warn, audit, seccomp, quarantine } = labels
          const asks =
            [enforce, warn, audit].some((text) => text !== undefined) ||
            (scope === 'cluster' ? quarantine !== 'off' : quarantine !== undefined && quarantine !== 'off')
          assert.equal(serving(scope, labelled(set), resource, 'validating').length, asks ? 1 : 0)
          const injects = resource === 'pods' && (enforce !== undefined || (seccomp !== undefined && seccomp !== 'off'))
          assert.equal(serving(scope, labelled(set), resource, 'mutating').length, injects ? 1 : 0)
        },
      ),
    )
  })

  it('sends what upstream labels concern exactly once, when they are honoured', () => {
    const value = fc.constantFrom(undefined, 'off', 'baseline', 'net')
    const ours = ['enforce', 'warn', 'audit', 'seccomp', 'quarantine', 'when-down'] as const
    const theirs = ['enforce', 'warn', 'audit'] as const
    fc.assert(
      fc.property(
        fc.record({
          enforce: value,
          warn: value,
          audit: value,
          seccomp: value,
          quarantine: value,
          'when-down': value,
        }),
        fc.record({ enforce: value, warn: value, audit: value }),
        fc.constantFrom('namespaces' as const, 'cluster' as const),
        fc.constantFrom('pods', 'pods/resize', 'deployments', 'cronjobs'),
        (drawbridge, upstream, scope, resource) => {
          const labels: Record<string, string> = {}
          for (const key of ours) if (drawbridge[key] !== undefined) labels[`drawbridge.dev/${key}`] = drawbridge[key]
          for (const key of theirs) {
            if (upstream[key] !== undefined) labels[`pod-security.kubernetes.io/${key}`] = upstream[key]
          }
          const { enforce, warn, audit, quarantine } = drawbridge
          const asks =
            [enforce, warn, audit, upstream.enforce, upstream.warn, upstream.audit].some(
              (text) => text !== undefined,
            ) || (scope === 'cluster' ? quarantine !== 'off' : quarantine !== undefined && quarantine !== 'off')
          const entries = webhookEntries(scope, true).filter(
            (entry) =>
              entry.type === 'validating' &&
              matches(entry.namespaceLabels, labels) &&
              entry.rules.some((rule) => rule.resources.includes(resource)),
          )
          assert.equal(entries.length, asks ? 1 : 0, entries.map(({ name }) => name).join())
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('lets nothing pass while nobody answers but what `when-down: net` and advice are for', () => {
    for (const scope of ['namespaces', 'cluster'] as const)
      for (const entry of webhookEntries(scope, true).filter(({ clusterScoped }) => clusterScoped === undefined)) {
        const isNet = entry.namespaceLabels.some(
          ({ key, operator, values = [] }) =>
            key === 'drawbridge.dev/when-down' && operator === 'In' && values.join() === 'net',
        )
        const isAdvice = /^(advise|pod-security-(templates|warn|audit))/.test(entry.name)
        assert.equal(entry.failurePolicy, isNet || isAdvice ? 'Ignore' : 'Fail', entry.name)
        assert.equal(entry.path.endsWith('-net'), isNet, entry.path)
      }
  })

  it('gives each entry a unique name of at least three segments', () => {
    for (const scope of ['namespaces', 'cluster'] as const) {
      const names = webhookEntries(scope).map((entry) => entry.name)
      assert.equal(new Set(names).size, names.length)
      for (const name of names) assert.match(name, /^[a-z-]+\.drawbridge\.dev$/)
    }
  })

  for (const podSecurityLabels of [false, true]) {
    it(`gives each entry a path that means one set of labels in both scopes, Pod Security labels ${podSecurityLabels ? 'honoured' : 'ignored'}`, () => {
      const known = entriesByPath(podSecurityLabels)
      for (const scope of ['namespaces', 'cluster'] as const) {
        const entries = webhookEntries(scope, podSecurityLabels)
        assert.equal(new Set(entries.map(({ path }) => path)).size, entries.length)
        for (const entry of entries) {
          const { namespaceLabels, quarantine, type } = known.get(entry.path) ?? {}
          assert.deepEqual(
            { namespaceLabels, quarantine, type },
            { namespaceLabels: entry.namespaceLabels, quarantine: entry.quarantine, type: entry.type },
            entry.name,
          )
        }
      }
    })
  }

  it('knows the paths of what was registered with other options', () => {
    const paths = [
      '/mutate/enforce',
      '/mutate/enforce-net',
      '/mutate/seccomp-only',
      '/mutate/seccomp-only-net',
      '/validate-namespaces',
      '/validate-profiles',
      '/validate/advise-audit',
      '/validate/advise-audit-quarantine-off',
      '/validate/advise-warn',
      '/validate/advise-warn-quarantine-off',
      '/validate/enforce',
      '/validate/enforce-net',
      '/validate/pod-security-audit',
      '/validate/pod-security-audit-quarantine-off',
      '/validate/pod-security-enforce',
      '/validate/pod-security-enforce-net',
      '/validate/pod-security-enforce-quarantine-off',
      '/validate/pod-security-enforce-quarantine-off-net',
      '/validate/pod-security-templates',
      '/validate/pod-security-templates-quarantine-off',
      '/validate/pod-security-warn',
      '/validate/pod-security-warn-quarantine-off',
      '/validate/verdicts',
      '/validate/verdicts-cluster',
      '/validate/verdicts-cluster-net',
      '/validate/verdicts-net',
      '/validate/verdicts-quarantine-only',
      '/validate/verdicts-quarantine-only-net',
    ]
    for (const honoured of [false, true]) assert.deepEqual([...entriesByPath(honoured).keys()].sort(), paths)
  })
})

/** Entries about objects that no namespace selects. */
const CLUSTER_SCOPED: ReadonlySet<unknown> = new Set(['profiles.drawbridge.dev', 'namespaces.drawbridge.dev'])

describe('webhook configurations', () => {
  const caBundle = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

  it('fills in url, CA, own namespace and what holds for every entry', () => {
    const [mutating, validating] = webhookConfigurations({
      endpoint: { url: 'https://127.0.0.1:8443/' },
      caBundle,
      ownNamespace: 'gate',
      scope: 'namespaces',
    })
    assert.deepEqual(mutating?.webhooks[0]?.['clientConfig'], {
      url: 'https://127.0.0.1:8443/mutate/enforce',
      caBundle: Buffer.from(caBundle).toString('base64'),
    })
    assert.deepEqual(validating?.webhooks[0]?.['clientConfig'], {
      url: 'https://127.0.0.1:8443/validate/enforce',
      caBundle: Buffer.from(caBundle).toString('base64'),
    })
    assert.deepEqual(
      [validating?.webhooks.at(-1)?.['name'], validating?.webhooks.at(-1)?.['failurePolicy']],
      ['namespaces.drawbridge.dev', 'Ignore'],
    )
    for (const webhook of [...(mutating?.webhooks ?? []), ...(validating?.webhooks ?? [])]) {
      const selector = webhook['namespaceSelector'] as { matchExpressions: readonly LabelTerm[] } | undefined
      if (CLUSTER_SCOPED.has(webhook['name'])) assert.equal(selector, undefined)
      else {
        assert.deepEqual(selector?.matchExpressions[0], {
          key: 'kubernetes.io/metadata.name',
          operator: 'NotIn',
          values: ['kube-system', 'gate'],
        })
      }
      assert.equal(webhook['objectSelector'], undefined)
      assert.equal(webhook['sideEffects'], 'NoneOnDryRun')
      assert.equal(webhook['matchPolicy'], 'Equivalent')
      assert.equal(webhook['timeoutSeconds'], 5)
      assert.deepEqual(webhook['admissionReviewVersions'], ['v1'])
    }
    assert.equal(
      mutating?.webhooks.every((webhook) => webhook['reinvocationPolicy'] === 'IfNeeded'),
      true,
    )
  })

  it('sends every change of a profile, and nothing else, to the endpoint for profiles', () => {
    const [, validating] = webhookConfigurations({
      endpoint: { url: 'https://127.0.0.1:8443' },
      ownNamespace: 'gate',
      scope: 'cluster',
    })
    const entry = validating?.webhooks.find((webhook) => webhook['name'] === 'profiles.drawbridge.dev')
    assert.deepEqual(entry, {
      name: 'profiles.drawbridge.dev',
      clientConfig: { url: 'https://127.0.0.1:8443/validate-profiles' },
      failurePolicy: 'Fail',
      rules: [
        {
          apiGroups: ['drawbridge.dev'],
          apiVersions: ['*'],
          operations: ['CREATE', 'UPDATE', 'DELETE'],
          resources: ['admissionprofiles'],
          scope: 'Cluster',
        },
      ],
      matchPolicy: 'Equivalent',
      sideEffects: 'NoneOnDryRun',
      timeoutSeconds: 5,
      admissionReviewVersions: ['v1'],
    })
  })

  for (const scope of ['namespaces', 'cluster'] as const) {
    it(`manifests/webhooks/${scope}.yaml is what the table gives (UPDATE_MANIFESTS=yes rewrites it)`, () => {
      const file = join(manifestsDirectory(), 'webhooks', `${scope}.yaml`)
      const text =
        '# Generated from src/kube/webhookEntries.ts by `UPDATE_MANIFESTS=yes npm run test:unit`; do not edit.\n' +
        '# The caBundle is filled in by Drawbridge, or by `drawbridge manifests`.\n' +
        renderWebhooks({
          endpoint: { service: { namespace: 'drawbridge', name: 'drawbridge' } },
          ownNamespace: 'drawbridge',
          scope,
        })
      if (process.env['UPDATE_MANIFESTS'] === 'yes') writeFileSync(file, text)
      assert.equal(readFileSync(file, 'utf8'), text)
    })
  }
})

describe('renderManifests', () => {
  const caBundle = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'
  const options = { caBundle, ownNamespace: 'drawbridge', scope: 'namespaces' } as const

  it('is one stream of CRDs, guards and configurations', () => {
    const documents = loadAll(renderManifests({ ...options, endpoint: { url: 'https://127.0.0.1:8443' } })) as {
      kind: string
      metadata: { name: string }
    }[]
    assert.deepEqual(
      documents.map(({ kind, metadata }) => `${kind}/${metadata.name}`),
      [
        'CustomResourceDefinition/admissionexceptions.drawbridge.dev',
        'CustomResourceDefinition/admissionprofiles.drawbridge.dev',
        'CustomResourceDefinition/imageverdicts.drawbridge.dev',
        'CustomResourceDefinition/safetynets.drawbridge.dev',
        'ValidatingAdmissionPolicy/drawbridge-guard',
        'ValidatingAdmissionPolicyBinding/drawbridge-guard',
        'ValidatingAdmissionPolicy/drawbridge-profile-guard',
        'ValidatingAdmissionPolicyBinding/drawbridge-profile-guard',
        'ClusterRole/drawbridge-namespace-weakener',
        'ValidatingAdmissionPolicy/drawbridge-verdicts',
        'ValidatingAdmissionPolicyBinding/drawbridge-verdicts',
        'ValidatingAdmissionPolicy/drawbridge-safety-net',
        'ValidatingAdmissionPolicyBinding/drawbridge-safety-net',
        'ValidatingAdmissionPolicy/drawbridge-safety-net-guard',
        'ValidatingAdmissionPolicyBinding/drawbridge-safety-net-guard',
        'MutatingWebhookConfiguration/drawbridge',
        'ValidatingWebhookConfiguration/drawbridge',
      ],
    )
  })

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['http://127.0.0.1:8443', caBundle, /must be https:\/\/host:port, not http:\/\/127\.0\.0\.1:8443/],
    ['no url', caBundle, /must be https:\/\/host:port, not no url/],
    ['https://me:secret@host', caBundle, /may hold no user, query or fragment/],
    ['https://host?x=1', caBundle, /may hold no user, query or fragment/],
    ['https://host', 'not a certificate', /holds no PEM certificate/],
  ]
  for (const [url, ca, message] of refused) {
    it(`refuses ${url} with ${ca.slice(0, 20)}`, () => {
      assert.throws(() => renderManifests({ ...options, endpoint: { url }, caBundle: ca }), message)
    })
  }

  it('says where it looked when the package has no manifests', () => {
    const empty = mkdtempSync(join(tmpdir(), 'no-manifests-'))
    assert.throws(() => manifestsDirectory(empty), new RegExp(`no manifests/crds folder in or above ${empty}`))
  })
})
