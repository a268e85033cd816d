/** The Helm chart as text: what Helm renders of it, compared with what the code says and judged by Drawbridge itself. No cluster is asked. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { dump, load } from 'js-yaml'

import { guardObjects } from '../../manifests/guard.ts'
import { manifestsDirectory, readCrds } from '../../manifests/render.ts'
import { safetyNetObjects } from '../../manifests/safetyNet.ts'
import { verdictGuardObjects } from '../../manifests/verdictGuard.ts'
import { webhookConfigurations } from '../../manifests/webhooks.ts'
import { sources } from '../../src/alerts/sources/index.ts'
import { parseConfig } from '../../src/config/config.ts'
import { checkCredentials } from '../../src/config/credentials.ts'
import { settingsProblems } from '../../src/correlator/settings.ts'
import { root } from '../docs/markdown.ts'
import { CHART, chartTools, idOf, objectsOf, VALUES, valuesOf } from './chartTools.ts'
import type { ChartTools, KubernetesObject } from './chartTools.ts'

const INSTALL = join(manifestsDirectory(), 'install.yaml')
const INSTALL_HEADER = `# Generated from manifests/chart by \`make manifests\`; do not edit. What \`helm template\` gives, and the namespace.
# Before it is applied: set the image, and make the Secret drawbridge-tokens (docs/install.md).
apiVersion: v1
kind: Namespace
metadata:
  name: drawbridge
  labels:
    pod-security.kubernetes.io/enforce: restricted
`

describe('the Helm chart', function () {
  this.timeout(120_000)
  let tools: ChartTools
  const template: ChartTools['template'] = (...args) => tools.template(...args)
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-chart-'))

  const find = (objects: readonly KubernetesObject[], kind: string, name = 'drawbridge'): KubernetesObject => {
    const found = objects.find((object) => object.kind === kind && object.metadata.name === name)
    assert.ok(found, `no ${kind} ${name} among ${objects.map(idOf).join(', ')}`)
    return found
  }

  before(function () {
    // The first run ever builds Helm.
    this.timeout(30 * 60_000)
    tools = chartTools()
  })

  for (const file of VALUES) {
    it(`lints with ${file ?? 'the defaults'}`, () => {
      const { code, stdout } = tools.helm(['lint', '--strict', CHART, '--namespace', 'drawbridge', ...valuesOf(file)])
      assert.equal(code, 0, stdout)
    })

    it(`gives a drawbridge.yaml that the server accepts, with ${file ?? 'the defaults'}`, () => {
      const { data } = find(objectsOf(template(valuesOf(file))), 'ConfigMap', 'drawbridge-config') as unknown as {
        readonly data: Readonly<Record<string, string>>
      }
      const config = parseConfig(data['drawbridge.yaml']!, 'drawbridge.yaml')
      checkCredentials(config, 'drawbridge.yaml', { sources: sources.map(({ name }) => name), standalone: false })
      assert.deepEqual(settingsProblems(config), [])
      assert.equal(config.namespace, 'drawbridge')
      assert.equal(config.alerts.credentials[0]?.tokenFile, '/etc/drawbridge/tokens/alert-token')
      assert.equal(config.tls.directory, file === 'cert-manager.yaml' ? '/etc/drawbridge/tls' : undefined)
      assert.equal(config.quarantine.reach, file === 'cluster-wide.yaml' ? 'evidence' : 'auto')
      assert.equal(config.alerts.credentials.length, file === 'cluster-wide.yaml' ? 2 : 1)
      assert.deepEqual(config.quarantine.protected.namespaces.slice(-1), ['drawbridge'])
    })

    it(`has pods that its own profile restricted takes, unchanged, with ${file ?? 'the defaults'}`, () => {
      const rendered = join(folder, 'restricted.yaml')
      writeFileSync(rendered, template(valuesOf(file)))
      const { status, stdout } = spawnSync(
        process.execPath,
        [join(root, 'bin/drawbridge.js'), 'check', '-f', rendered, '--profile', 'restricted', '-o', 'json'],
        { encoding: 'utf8' },
      )
      assert.equal(status, 0, stdout)
      const { objects } = JSON.parse(stdout) as {
        readonly objects: readonly (Readonly<Record<string, unknown>> & { readonly result: string })[]
      }
      assert.deepEqual(
        objects
          .filter(({ result }) => result !== 'not-concerned')
          .map(({ kind, result, patch, warnings }) => ({ kind, result, patch, warnings })),
        [
          {
            kind: file?.startsWith('volumes') ? 'StatefulSet' : 'Deployment',
            result: 'allowed',
            patch: [],
            warnings: [],
          },
        ],
      )
    })
  }

  describe('renders what `drawbridge manifests` prints', () => {
    const sorted = (objects: readonly object[]): readonly object[] =>
      [...(objects as readonly KubernetesObject[])].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1))
    const kinds = /^(Validating|Mutating)(AdmissionPolicy|WebhookConfiguration)/
    const cases = (['namespaces', 'cluster'] as const).flatMap((scope) =>
      [false, true].flatMap((podSecurityLabels) =>
        [undefined, { except: ['shop', 'cert-manager', 'default'] }].map((requireLabels) => ({
          scope,
          podSecurityLabels,
          requireLabels,
        })),
      ),
    )
    for (const { scope, podSecurityLabels, requireLabels } of cases)
      it(`scope ${scope}${podSecurityLabels ? ', Pod Security labels' : ''}${requireLabels ? ', labels required' : ''}`, () => {
        const file = join(folder, 'values.yaml')
        const required = requireLabels && { requireLabels: { enabled: true, ...requireLabels } }
        writeFileSync(file, dump({ quarantineScope: scope, podSecurityLabels, ...required }))
        const rendered = objectsOf(template(['--values', file], 'gate'))
        const options = { ownNamespace: 'gate', podSecurityLabels, ...(requireLabels && { requireLabels }) }
        const expected = [
          ...guardObjects(options),
          ...verdictGuardObjects({ ownNamespace: 'gate' }),
          ...safetyNetObjects({ ownNamespace: 'gate', scope, podSecurityLabels }),
          ...webhookConfigurations({
            ...options,
            scope,
            endpoint: { service: { namespace: 'gate', name: 'drawbridge' } },
          }),
        ]
        assert.deepEqual(
          sorted(rendered.filter(({ kind }) => kinds.test(kind))),
          sorted(expected.filter(({ kind }) => kinds.test(kind))),
        )
        assert.deepEqual(
          find(rendered, 'ClusterRole', 'drawbridge-namespace-weakener'),
          expected.find(({ kind }) => kind === 'ClusterRole'),
        )
      })

    it('CRDs, kept when the chart is uninstalled', () => {
      const rendered = objectsOf(template([])).filter(({ kind }) => kind === 'CustomResourceDefinition')
      const expected = readCrds().map((text) => {
        const definition = load(text) as KubernetesObject
        const annotations = { ...definition.metadata.annotations, 'helm.sh/resource-policy': 'keep' }
        return { ...definition, metadata: { ...definition.metadata, annotations } }
      })
      assert.deepEqual(sorted(rendered), sorted(expected))
    })

    it('manifests/rbac.yaml, in its own namespace', () => {
      const text = readFileSync(join(manifestsDirectory(), 'rbac.yaml'), 'utf8')
      const expected = objectsOf(text.replaceAll('namespace: drawbridge', 'namespace: gate'))
      const ids = new Set(expected.map(idOf))
      const rendered = objectsOf(template([], 'gate'))
      assert.deepEqual(sorted(rendered.filter((object) => ids.has(idOf(object)))), sorted(expected))
      const others = rendered.filter(
        ({ apiVersion, kind }) => apiVersion.startsWith('rbac.') || kind === 'ServiceAccount',
      )
      assert.deepEqual(others.filter((object) => !ids.has(idOf(object))).map(idOf), [
        'rbac.authorization.k8s.io/v1/ClusterRole/drawbridge-namespace-weakener',
      ])
    })

    it('annotations of the webhook configurations, and of nothing else', () => {
      const annotated = objectsOf(template(valuesOf('cert-manager.yaml')))
        .filter(({ metadata }) => metadata.annotations?.['cert-manager.io/inject-ca-from'] === 'drawbridge/drawbridge')
        .map(({ kind }) => kind)
      assert.deepEqual(annotated.sort(), ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'])
    })
  })

  it('gives the right to change workloads only where Drawbridge is to roll back by itself', () => {
    const automatic = template(['--set', 'config.quarantine.rollback=automatic'])
    const role = objectsOf(automatic).find(({ metadata }) => metadata.name === 'drawbridge-rollback') as unknown as {
      readonly rules: unknown
    }
    assert.deepEqual(role.rules, [
      { apiGroups: ['apps'], resources: ['deployments', 'statefulsets', 'daemonsets'], verbs: ['patch'] },
    ])
    assert.ok(!template([]).includes('drawbridge-rollback'))
    assert.ok(!template(['--set', 'config.quarantine.rollback=suggest']).includes('drawbridge-rollback'))
  })

  describe('seccompSync', () => {
    const enabled = ['--set', 'seccompSync.enabled=true']
    const until = ['--set', 'seccompSync.exceptionUntil=2099-12-31T00:00:00Z']
    const check = (text: string): { readonly status: number | null; readonly stdout: string } => {
      const rendered = join(folder, 'seccomp.yaml')
      writeFileSync(rendered, text)
      const program = join(root, 'bin/drawbridge.js')
      return spawnSync(process.execPath, [program, 'check', '-f', rendered], { encoding: 'utf8' })
    }

    it('is off by default, and wants to be told until when it may run as root', () => {
      assert.ok(!template([]).includes('drawbridge-seccomp'))
      const { code, stderr } = tools.helm(['template', 'drawbridge', CHART, '--namespace', 'drawbridge', ...enabled])
      assert.notEqual(code, 0)
      assert.match(stderr, /seccompSync\.exceptionUntil: until when/)
    })

    it('puts your own profiles beside the ones it brings, and never in their place', () => {
      const objects = objectsOf(template([...enabled, ...until, '--set', 'seccompSync.configMap=mine']))
      const named = (kind: string, name: string): (typeof objects)[number] | undefined =>
        objects.find((object) => object.kind === kind && object.metadata.name === name)
      assert.ok(named('ConfigMap', 'drawbridge-seccomp-profiles'))
      const daemonSet = named('DaemonSet', 'drawbridge-seccomp') as unknown as {
        readonly spec: {
          readonly template: { readonly spec: { readonly volumes: readonly object[]; readonly nodeSelector: object } }
        }
      }
      assert.deepEqual(daemonSet.spec.template.spec.nodeSelector, { 'kubernetes.io/os': 'linux' })
      const maps = [{ configMap: { name: 'drawbridge-seccomp-profiles' } }, { configMap: { name: 'mine' } }]
      assert.deepEqual(daemonSet.spec.template.spec.volumes[0], { name: 'profiles', projected: { sources: maps } })
    })

    it('runs in a namespace that enforces restricted, by its exception and no wider one', () => {
      const text = template([...enabled, ...until])
      const allowed = check(text)
      assert.equal(allowed.status, 0, allowed.stdout)
      assert.match(allowed.stdout, /allowed +DaemonSet .*\n +allowed by exception: drawbridge-seccomp/)
      const denied = check(text.replace('drawbridge.dev/exception: drawbridge-seccomp', 'other: value'))
      assert.equal(denied.status, 1)
      const broken = [...denied.stdout.matchAll(/^ {2}- (?:.*\((\w+)\)|(\w+)[ !=].*?):/gm)].map(
        ([, id, title]) => id ?? title ?? '',
      )
      const exception = find(objectsOf(text), 'AdmissionException', 'drawbridge-seccomp') as unknown as {
        readonly spec: { readonly checks: readonly string[] }
      }
      assert.deepEqual(broken.toSorted(), [...exception.spec.checks].sort())
    })

    it('has its exception before pods of another image: helm --wait would wait for pods that are refused', () => {
      const { metadata } = find(objectsOf(template([...enabled, ...until])), 'AdmissionException', 'drawbridge-seccomp')
      const hooks = metadata.annotations?.['helm.sh/hook']?.split(',')
      assert.deepEqual(hooks, ['post-install', 'pre-upgrade', 'pre-rollback'])
    })

    it('has the webhook follow the reports, with the right to read them', () => {
      const objects = objectsOf(template([...enabled, ...until], 'gate'))
      const { data } = find(objects, 'ConfigMap', 'drawbridge-config') as unknown as {
        readonly data: Readonly<Record<string, string>>
      }
      assert.equal(parseConfig(data['drawbridge.yaml']!, 'drawbridge.yaml').seccomp.reports, 'drawbridge-seccomp')
      const { subjects } = find(objects, 'RoleBinding', 'drawbridge-seccomp-reader') as unknown as {
        readonly subjects: readonly object[]
      }
      assert.deepEqual(subjects, [{ kind: 'ServiceAccount', name: 'drawbridge', namespace: 'gate' }])
    })
  })

  it('manifests/install.yaml is in step with the chart (UPDATE_MANIFESTS=yes rewrites it)', () => {
    const text = `${INSTALL_HEADER}${template(['--set', 'tokens.create=false'])}`
    if (process.env['UPDATE_MANIFESTS'] === 'yes') writeFileSync(INSTALL, text)
    assert.equal(readFileSync(INSTALL, 'utf8'), text)
  })

  it('agrees with the Dockerfile', () => {
    const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
      .split(/^FROM /m)
      .at(-1)!
    const instruction = (name: string): string => new RegExp(`^${name} (.*)$`, 'm').exec(dockerfile)?.[1] ?? ''
    const { spec } = find(objectsOf(template([])), 'Deployment') as unknown as {
      readonly spec: { readonly template: { readonly spec: PodSpec } }
    }
    interface PodSpec {
      readonly securityContext: Readonly<Record<string, unknown>>
      readonly containers: readonly {
        readonly command?: readonly string[]
        readonly args: readonly string[]
        readonly ports: readonly { readonly containerPort: number }[]
        readonly volumeMounts: readonly { readonly mountPath: string; readonly readOnly?: boolean }[]
      }[]
    }
    const { securityContext, containers } = spec.template.spec
    const [container] = containers
    assert.ok(container)
    assert.equal(
      `${String(securityContext['runAsUser'])}:${String(securityContext['runAsGroup'])}`,
      instruction('USER'),
    )
    assert.equal(container.ports.map(({ containerPort }) => containerPort).join(' '), instruction('EXPOSE'))
    const mounts = container.volumeMounts.filter(({ readOnly }) => readOnly !== true)
    assert.deepEqual(
      mounts.map(({ mountPath }) => mountPath),
      [instruction('VOLUME')],
    )
    // The entry point is the image's; the arguments take the place of CMD, and say no less.
    assert.equal(container.command, undefined)
    const command = JSON.parse(instruction('CMD')) as readonly string[]
    assert.deepEqual(container.args.slice(0, command.length), command)
    const help = spawnSync(process.execPath, [join(root, 'bin/drawbridge.js'), 'serve', '--help'], { encoding: 'utf8' })
    for (const argument of container.args.filter((text) => text.startsWith('--')))
      assert.ok(help.stdout.includes(` ${argument} `), argument)
  })

  describe('refuses', () => {
    const cases: readonly (readonly [what: string, args: readonly string[], message: RegExp, namespace?: string])[] = [
      ['an unknown value', ['--set', 'replicaCount=2'], /additional properties 'replicaCount' not allowed/],
      ['no replicas', ['--set', 'replicas=0'], /replicas.*minimum/s],
      [
        'a name that would end a CEL string',
        ['--set', "requireLabels.enabled=true,requireLabels.except={a' || true || 'b}"],
        /does not match pattern/,
      ],
      [
        'a namespace that is not its own',
        [],
        /install Drawbridge into a namespace of its own .* not into default/,
        'default',
      ],
      ['settings that are the chart’s', ['--set', 'config.namespace=x'], /config\.namespace is set by the chart/],
      ['a port of its own', ['--set', 'config.alerts.port=1'], /the chart sets port of every listener/],
      [
        'the token of a sensor in clear',
        ['--set', 'config.alerts.credentials[0].name=falco,config.alerts.credentials[0].token=0123456789abcdef'],
        /config\.alerts\.credentials: the token of falco would be readable in a ConfigMap: put it under a key of the Secret drawbridge-tokens, and give tokenFile: \/etc\/drawbridge\/tokens\/KEY/,
      ],
      [
        'a token of the admin API in clear',
        ['--set', 'config.admin.token=0123456789abcdef'],
        /config\.admin\.token would be readable in a ConfigMap: put it under admin-token of the Secret drawbridge-tokens/,
      ],
      [
        'tokens in the Secret that Drawbridge writes its certificates to',
        ['--set', 'tokens.secretName=drawbridge-tls'],
        /tokens\.secretName: drawbridge-tls is where Drawbridge keeps its certificates/,
      ],
      [
        'certificates from the Secret that nothing else may keep',
        ['--set', 'tls.mountedSecret=drawbridge-tls'],
        /tls\.mountedSecret: drawbridge-tls is where Drawbridge keeps its certificates/,
      ],
      [
        'certificates from the Secret of the tokens',
        ['--set', 'tls.mountedSecret=drawbridge-tokens'],
        /tls\.mountedSecret: drawbridge-tokens holds the tokens/,
      ],
      [
        'an end that comes before the last answer',
        ['--set', 'preStopSeconds=26'],
        /terminationGracePeriodSeconds: 45 is too short: preStopSeconds and twice config\.drain take 46s/,
      ],
      ...['config.drain=1m', 'config.drain=20001ms,preStopSeconds=5'].map(
        (values) =>
          [
            `an end that comes before the last answer, with ${values}`,
            ['--set', values],
            /terminationGracePeriodSeconds: 45 is too short/,
          ] as const,
      ),
      ...['2', '3', '51%'].map(
        (most) =>
          [
            `a budget that lets all replicas be evicted at once (${most})`,
            ['--set', `podDisruptionBudget.maxUnavailable=${most}`],
            /podDisruptionBudget\.maxUnavailable: .* of 2 replicas is all of them/,
          ] as const,
      ),
      ['a budget of 100%', ['--set', 'podDisruptionBudget.maxUnavailable=100%'], /maxUnavailable/],
      ...['name', 'version'].map(
        (label) =>
          [
            `the label ${label} of its pods`,
            ['--set', `podLabels.app\\.kubernetes\\.io/${label}=other`],
            new RegExp(`podLabels: app\\.kubernetes\\.io/${label} is set by the chart`),
          ] as const,
      ),
    ]
    for (const [what, args, message, namespace] of cases)
      it(what, () => {
        const { code, stderr } = tools.helm([
          'template',
          'drawbridge',
          CHART,
          '--namespace',
          namespace ?? 'drawbridge',
          ...args,
        ])
        assert.notEqual(code, 0)
        assert.match(stderr, message)
      })
  })

  for (const values of [
    'preStopSeconds=25',
    'config.drain=20s',
    'config.drain=1m,terminationGracePeriodSeconds=125',
    'podDisruptionBudget.maxUnavailable=50%',
    'replicas=3,podDisruptionBudget.maxUnavailable=2',
    // No budget spares a single replica and still lets its node be drained.
    'replicas=1',
    'tls.mountedSecret=other,tokens.secretName=mine',
    'podLabels.team=security',
  ])
    it(`takes ${values}`, () => {
      assert.ok(template(['--set', values]).includes('kind: Deployment'))
    })

  it('lets nobody in where the NetworkPolicy names nobody', () => {
    const { spec } = find(objectsOf(template(valuesOf('cluster-wide.yaml'))), 'NetworkPolicy') as unknown as {
      readonly spec: {
        readonly ingress: readonly {
          readonly ports: readonly { readonly port: string }[]
          readonly from?: readonly unknown[]
        }[]
      }
    }
    assert.deepEqual(
      spec.ingress.map(({ ports, from }) => [ports[0]?.port, from?.length]),
      [
        ['webhook', 1],
        ['alerts', 2],
      ],
    )
  })
})
