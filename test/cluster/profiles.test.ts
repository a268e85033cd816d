/** AdmissionProfiles on a real API server: what the CRD and the webhook refuse, what a labelled namespace gets, and a rule of your own beside it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { manifestsDirectory } from '../../manifests/render.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import { startServer } from '../../src/serve.ts'
import type { RunningServer } from '../../src/serve.ts'
import { codeBlocks } from '../docs/codeBlocks.ts'
import { waitFor, waitForCrds } from './harness.ts'
import type { Cluster, Outcome } from './harness.ts'
import { sharedCluster } from './shared.ts'

const NAMESPACE = 'profiles-shop'
const BESIDE = 'profiles-beside'
const UNKNOWN = 'profiles-unknown'
const GONE = 'profiles-gone'
const PARTS = 'profiles-subresources'
const WEBHOOKS = 'drawbridge-profiles-test'

const profile = (name: string, spec: object): string =>
  JSON.stringify({ apiVersion: 'drawbridge.dev/v1alpha1', kind: 'AdmissionProfile', metadata: { name }, spec })
const pod = (name: string, namespace: string, container: object = {}, spec: object = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: { ...spec, containers: [{ name: 'web', image: 'registry.example/web/front:1', ...container }] },
  })

const level = (name: string) => ({ extends: { level: name } })

const refused = ({ code, stderr }: Outcome, pattern: RegExp): void => {
  assert.equal(code, 1, 'it was accepted')
  assert.match(stderr, pattern)
}

describe('AdmissionProfile on a real API server', () => {
  let cluster: Cluster
  let server: RunningServer | undefined
  const data = mkdtempSync(join(tmpdir(), 'drawbridge-profiles-'))

  const create = (text: string, ...flags: readonly string[]): Promise<Outcome> =>
    cluster.kubectl(['create', ...flags, '-f', '-'], text)
  const openNamespace = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> => {
    await cluster.createNamespace(name, labels)
    // Pods need it where controllers run; a control plane without them does not ask.
    if (cluster.hasControllers) {
      await waitFor(
        async () => (await cluster.kubectl(['get', 'serviceaccount', 'default', '-n', name])).code === 0,
        30_000,
        `the service account of ${name}`,
      )
    }
  }

  before(async () => {
    cluster = sharedCluster()
    await cluster.must(['apply', '-f', join(manifestsDirectory(), 'crds')])
    for (const kind of ['imageverdicts', 'admissionprofiles']) {
      await waitForCrds(cluster, `${kind}.drawbridge.dev`)
    }
  })

  after(async () => {
    await cluster?.kubectl(['delete', 'validatingwebhookconfiguration,mutatingwebhookconfiguration', WEBHOOKS])
    await cluster?.kubectl(['delete', 'namespace', NAMESPACE, BESIDE, UNKNOWN, GONE, PARTS, '--wait=false'])
    await cluster?.kubectl(['delete', 'admissionprofiles', '--all'])
    await server?.stop()
    rmSync(data, { recursive: true, force: true })
  })

  describe('the CRD', () => {
    it('accepts every setting, and the example', async () => {
      const full = {
        extends: { level: 'standard', version: 'v1.35' },
        allowedCapabilities: ['NET_RAW'],
        allowedHostPorts: [{ min: 1, max: 65535 }],
        allowedHostPathPrefixes: [{ path: '/data', readOnly: true }],
        runAsUser: [{ min: 0, max: 2147483647 }],
        runAsGroup: [{ min: 1, max: 1 }],
        allowedRegistries: ['registry.example:5000/team', 'docker.io'],
        requireDigest: true,
        forbidLatestTag: true,
        automountServiceAccountToken: false,
        readOnlyRootFilesystem: true,
        seccomp: { type: 'Localhost', localhostProfile: 'drawbridge/web.json' },
        hardening: {
          allowPrivilegeEscalation: false,
          dropAllCapabilities: true,
          runAsNonRoot: true,
          readOnlyRootFilesystem: true,
        },
        quarantine: 'enforce',
      }
      await cluster.must(['create', '--dry-run=server', '-f', '-'], profile('full', full))
      await cluster.must(['create', '--dry-run=server', '-f', 'examples/profiles/web-tier.yaml'])
      const volumes = { extends: { level: 'restricted' }, allowedVolumeTypes: ['nfs'] }
      await cluster.must(['create', '--dry-run=server', '-f', '-'], profile('volumes', volumes))
    })

    const cases: readonly (readonly [string, string, object, RegExp])[] = [
      ['no level', 'a', {}, /spec\.extends: Required value/],
      ['a level that is none', 'a', level('strict'), /Unsupported value: "strict"/],
      ['a version that is none', 'a', { extends: { level: 'baseline', version: '1.30' } }, /should match/],
      [
        'a misspelt setting',
        'a',
        { ...level('baseline'), requiredDigest: true },
        /unknown field "spec\.requiredDigest"/,
      ],
      ['the name of a built-in profile', 'restricted', level('baseline'), /name of a built-in profile/],
      ['a name that no label can hold', 'a.b', level('baseline'), /must be a DNS label/],
      ['an empty range', 'a', { ...level('baseline'), runAsUser: [{ min: 2, max: 1 }] }, /the range is empty/],
      [
        'a port that is none',
        'a',
        { ...level('baseline'), allowedHostPorts: [{ min: 0, max: 1 }] },
        /greater than or equal to 1/,
      ],
      ['CAP_', 'a', { ...level('baseline'), allowedCapabilities: ['CAP_BPF'] }, /without CAP_/],
      [
        'hostPath as a type',
        'a',
        { ...level('restricted'), allowedVolumeTypes: ['hostPath'] },
        /allowedHostPathPrefixes/,
      ],
      ['a step back', 'a', { ...level('baseline'), allowedHostPathPrefixes: [{ path: '/a/../b' }] }, /without \.\./],
      [
        'host paths in restricted',
        'a',
        { ...level('restricted'), allowedHostPathPrefixes: [{ path: '/a' }] },
        /restricted forbids every hostPath/,
      ],
      ['volume types in baseline', 'a', { ...level('baseline'), allowedVolumeTypes: ['nfs'] }, /changes nothing/],
      [
        'allowances in privileged',
        'a',
        { ...level('privileged'), allowedCapabilities: ['BPF'] },
        /privileged forbids nothing/,
      ],
      [
        'ALL that is dropped',
        'a',
        { ...level('baseline'), allowedCapabilities: ['ALL'], hardening: { dropAllCapabilities: true } },
        /dropping ALL/,
      ],
      [
        'Localhost without a name',
        'a',
        { ...level('baseline'), seccomp: { type: 'Localhost' } },
        /localhostProfile is required/,
      ],
      [
        'hardening that loosens',
        'a',
        { ...level('baseline'), hardening: { allowPrivilegeEscalation: true } },
        /Unsupported value: true/,
      ],
      [
        'an automounted token',
        'a',
        { ...level('baseline'), automountServiceAccountToken: true },
        /Unsupported value: true/,
      ],
    ]
    for (const [what, name, spec, message] of cases) {
      it(`refuses ${what}`, async () => refused(await create(profile(name, spec), '--dry-run=server'), message))
    }
  })

  describe('with Drawbridge running', () => {
    const register = async (): Promise<void> => {
      assert.ok(server !== undefined)
      const configurations = webhookConfigurations({
        endpoint: { url: server.file.webhook },
        caBundle: readFileSync(server.file.ca, 'utf8'),
        ownNamespace: 'drawbridge',
        scope: 'namespaces',
      })
      for (const configuration of configurations) {
        const named = { ...configuration, metadata: { ...configuration.metadata, name: WEBHOOKS } }
        await cluster.must(['create', '-f', '-'], JSON.stringify(named))
      }
    }

    before(async function () {
      this.timeout(120_000)
      const configFile = join(data, 'drawbridge.yaml')
      writeFileSync(configFile, 'drain: 0ms\nlog: { level: error }\n')
      server = await startServer({
        standalone: false,
        kubeconfig: cluster.kubeconfig,
        configFile,
        data,
        port: 0,
        alertsPort: 0,
        adminPort: 0,
      })
      // A label from a time when nobody checked labels.
      await openNamespace(UNKNOWN, { 'drawbridge.dev/enforce': 'later-tier' })
      await register()
      // The API server takes webhooks up a moment later: what only the webhook refuses says when.
      await waitFor(
        async () => (await create(profile('probe', ONLY_ZERO), '--dry-run=server')).code === 1,
        30_000,
        'the webhook for profiles',
      )
      await cluster.must(['create', '-f', 'examples/profiles/web-tier.yaml'])
      await openNamespace(NAMESPACE, { 'drawbridge.dev/enforce': 'web-tier' })
      await waitFor(
        async () => (await create(pod('probe', NAMESPACE, { image: 'evil.org/a:1' }), '--dry-run=server')).code === 1,
        30_000,
        'the webhook for pods',
      )
    })

    const ONLY_ZERO = {
      extends: { level: 'baseline' },
      runAsUser: [{ min: 0, max: 0 }],
      hardening: { runAsNonRoot: true },
    }

    it('refuses what CEL cannot say, and says why', async () => {
      refused(
        await create(profile('zero', ONLY_ZERO)),
        /profiles\.drawbridge\.dev.*\n- spec\.runAsUser: holds only user 0, and hardening\.runAsNonRoot injects that nobody is user 0/,
      )
      const registry = { extends: { level: 'baseline' }, allowedRegistries: ['team'] }
      refused(await create(profile('registry', registry)), /allowedRegistries\[0\]: wanted a registry such as/)
    })

    it('injects and enforces in a namespace that is labelled with it', async () => {
      const good = pod('front', NAMESPACE, {}, { securityContext: { runAsNonRoot: true, runAsUser: 10001 } })
      assert.equal((await create(good)).stderr, '')
      const shown = JSON.parse(await cluster.must(['get', 'pod', 'front', '-n', NAMESPACE, '-o', 'json'])) as {
        readonly spec: { readonly securityContext: object; readonly containers: readonly { securityContext: object }[] }
      }
      assert.deepEqual(shown.spec.containers[0]?.securityContext, {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
      })
      assert.deepEqual(shown.spec.securityContext, {
        runAsNonRoot: true,
        runAsUser: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      })

      const root = await create(pod('root', NAMESPACE, { image: 'registry.example/web-evil/a:1' }))
      refused(root, /breaks profile web-tier:v1\.\d+:/)
      refused(root, /registry \(allowedRegistries\).*web-evil/)
      refused(root, /runAsUserRange: .*must be 1000-65535/)
      refused(root, /may run as root/)
      const port = (hostPort: number) =>
        pod(
          'port',
          NAMESPACE,
          { ports: [{ containerPort: 80, hostPort }] },
          { securityContext: { runAsNonRoot: true, runAsUser: 10001 } },
        )
      assert.equal((await create(port(8443), '--dry-run=server')).code, 0)
      refused(await create(port(8444), '--dry-run=server'), /hostPort.*is 8444, must be not set, or 8443/)
    })

    it('follows a change of the profile', async () => {
      const digest = JSON.stringify({ spec: { requireDigest: true } })
      await cluster.must(['patch', 'admissionprofile', 'web-tier', '--type=merge', '-p', digest])
      const good = pod('later', NAMESPACE, {}, { securityContext: { runAsNonRoot: true, runAsUser: 10001 } })
      const denial = await waitFor(
        async () => {
          const outcome = await create(good, '--dry-run=server')
          return outcome.code === 1 && outcome
        },
        30_000,
        'the changed profile',
      )
      refused(denial, /image digest \(imageDigest\)/)
    })

    it('refuses to delete it while a namespace names it', async () => {
      const remove = ['delete', 'admissionprofile', 'web-tier']
      refused(
        await cluster.kubectl(remove),
        new RegExp(`AdmissionProfile web-tier is in use by namespace ${NAMESPACE}; change their labels first`),
      )
      refused(await cluster.kubectl(['delete', 'admissionprofiles', '--all']), /is in use by/)
      // A review of one object of a whole collection names none (kubectl's own --all deletes one by one).
      const collection = '/apis/drawbridge.dev/v1alpha1/admissionprofiles'
      refused(await cluster.kubectl(['delete', '--raw', collection]), /is in use by/)
      assert.equal((await cluster.kubectl(['get', 'admissionprofile', 'web-tier'])).code, 0)
    })

    it('enforces restricted where the label names a profile that nobody knows, and says so', async () => {
      refused(
        await cluster.kubectl(['label', 'namespace', NAMESPACE, 'drawbridge.dev/enforce=later-tier', '--overwrite']),
        /drawbridge\.dev\/enforce: "later-tier" is no profile/,
      )
      refused(
        await create(pod('web', UNKNOWN), '--dry-run=server'),
        /drawbridge\.dev\/enforce: "later-tier" is no profile; restricted:v1\.\d+ is enforced until it is corrected/,
      )
    })

    it('refuses a name that nobody knows through the subresources of a namespace as well, and warns of existing pods there', async () => {
      await openNamespace(PARTS, { 'drawbridge.dev/enforce': 'privileged' })
      assert.equal((await create(pod('host', PARTS, {}, { hostPID: true }))).code, 0)
      const stored = JSON.parse(await cluster.must(['get', 'namespace', PARTS, '-o', 'json']))
      const replace = (subresource: string, enforce: string): Promise<Outcome> => {
        const metadata = {
          ...stored.metadata,
          labels: { ...stored.metadata.labels, 'drawbridge.dev/enforce': enforce },
        }
        const path = `/api/v1/namespaces/${PARTS}/${subresource}?dryRun=All`
        return cluster.kubectl(['replace', '--raw', path, '-f', '-'], JSON.stringify({ ...stored, metadata }))
      }
      for (const subresource of ['status', 'finalize']) {
        refused(await replace(subresource, 'later-tier'), /drawbridge\.dev\/enforce: "later-tier" is no profile/)
        const stricter = await replace(subresource, 'baseline')
        assert.equal(stricter.code, 0, stricter.stderr)
        assert.match(stricter.stderr, /^Warning: .*host namespaces/m)
      }
    })

    it('enforces restricted where a profile was deleted while no webhook was registered, and says so', async () => {
      await cluster.must(['create', '-f', '-'], profile('gone-tier', { extends: { level: 'privileged' } }))
      await openNamespace(GONE, { 'drawbridge.dev/enforce': 'gone-tier' })
      const remove = ['delete', 'admissionprofile', 'gone-tier']
      const web = pod('web', GONE)
      assert.equal((await create(web, '--dry-run=server')).code, 0)
      refused(await cluster.kubectl(remove), /AdmissionProfile gone-tier is in use by namespace/)
      const kinds = 'validatingwebhookconfiguration,mutatingwebhookconfiguration'
      await cluster.must(['delete', kinds, WEBHOOKS])
      // The API server takes a moment to forget webhooks, too.
      await waitFor(async () => (await cluster.kubectl(remove)).code === 0, 30_000, 'the profile to be deleted')
      await register()
      const denial = await waitFor(
        async () => {
          const outcome = await create(web, '--dry-run=server')
          return outcome.code === 1 && outcome
        },
        30_000,
        'the webhook for pods',
      )
      refused(denial, /"web" breaks profile restricted:v1\.\d+/)
      refused(
        denial,
        /namespace label drawbridge\.dev\/enforce: "gone-tier" is no profile; restricted:v1\.\d+ is enforced until it is corrected/,
      )
      // Back, it holds again.
      await cluster.must(['create', '-f', '-'], profile('gone-tier', { extends: { level: 'privileged' } }))
      await waitFor(async () => (await create(web, '--dry-run=server')).code === 0, 30_000, 'the profile of that name')
    })

    it('holds at once for a profile, a namespace and a pod of one kubectl create', async () => {
      const name = 'profiles-at-once'
      const namespace = JSON.stringify({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { 'drawbridge.dev/enforce': 'at-once' } },
      })
      const account = JSON.stringify({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'web', namespace: name },
      })
      const text = [
        profile('at-once', { extends: { level: 'privileged' } }),
        namespace,
        account,
        pod('web', name, {}, { serviceAccountName: 'web' }),
      ].join('\n---\n')
      const { code, stderr } = await create(text)
      assert.deepEqual([code, stderr], [0, ''])
      await cluster.must(['delete', 'namespace', name, '--wait=false'])
    })

    it('lets a rule of your own hold beside it, as docs/custom-rules.md shows', async () => {
      const blocks = codeBlocks('docs/custom-rules.md', 'yaml')
      assert.ok(blocks.length > 0)
      await openNamespace(BESIDE, { 'drawbridge.dev/enforce': 'privileged' })
      for (const block of blocks) await cluster.must(['apply', '-f', '-'], block)
      try {
        const without = pod('web', BESIDE)
        const message = await waitFor(
          async () => {
            const { code, stderr } = await create(without, '--dry-run=server')
            return code === 1 && stderr
          },
          60_000,
          'the policy of the docs',
        )
        assert.match(message, /every container needs a memory limit/)
        const limited = pod('web', BESIDE, { resources: { limits: { memory: '64Mi' } } })
        assert.equal((await create(limited, '--dry-run=server')).stderr, '')
        // Both answer for themselves: neither allows what the other denies.
        await cluster.must(['label', 'namespace', BESIDE, 'drawbridge.dev/enforce=restricted', '--overwrite'])
        const denial = await waitFor(
          async () => {
            const { code, stderr } = await create(limited, '--dry-run=server')
            return code === 1 && stderr
          },
          30_000,
          'the stricter label',
        )
        assert.match(denial, /breaks profile restricted/)
      } finally {
        for (const block of blocks) await cluster.kubectl(['delete', '-f', '-'], block)
      }
    })
  })
})
