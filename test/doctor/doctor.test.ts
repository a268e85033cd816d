import assert from 'node:assert/strict'
import { parseMetrics, sumOf } from '../../src/doctor/metrics.ts'
import { textReport } from '../../src/doctor/report.ts'
import { word } from '../../src/doctor/text.ts'
import { PROBE } from '../../src/doctor/checks/reachable.ts'
import { CHECKS } from '../../src/doctor/checks/index.ts'
import { loadProfile } from '../../src/policy/compileProfile.ts'
import { base64, examine, METRICS, NOW, otherAuthority, REGISTRATION, VALIDATING } from './support.ts'
import type { Objects, Spoiled } from './support.ts'

const HELM = 'helm upgrade drawbridge manifests/chart --namespace drawbridge --reset-then-reuse-values'
const ANEW = `kubectl delete validatingwebhookconfiguration,mutatingwebhookconfiguration drawbridge && ${HELM}`
const PODS = 'kubectl -n drawbridge get pods -l app.kubernetes.io/name=drawbridge'
const RESTART =
  'kubectl -n drawbridge rollout restart deployment/drawbridge (it writes caBundle within seconds of its start; with tls.mountedSecret: docs/certificates.md)'
const DEPLOYMENT = '/apis/apps/v1/namespaces/drawbridge/deployments/drawbridge'
const OURS = '/apis/drawbridge.dev/v1alpha1'
const BRAKE = '/api/v1/namespaces/drawbridge/configmaps/drawbridge'

const failed = (cause: string): Spoiled => ({
  dryRun: {
    status: 500,
    message: `Internal error occurred: failed calling webhook "profiles.drawbridge.dev": failed to call webhook: Post "https://drawbridge.drawbridge.svc:443/validate-profiles?timeout=5s": ${cause}`,
  },
})
const unanswered = (what: string, cause: string, todo: string): readonly string[] => [
  `problem reachable: the API server gets no answer from Drawbridge: ${what} (${failed(cause).dryRun!.message.slice(0, 300)}) > ${todo}`,
]
const objects = (spoil: (objects: Objects) => void): Spoiled => ({ objects: spoil })
const metrics = (text: string): Spoiled => ({ replicas: [{ name: 'drawbridge-a', metrics: parseMetrics(text) }] })
const labelled = (name: string, labels: object): Spoiled =>
  objects((all) => all.get('/api/v1/namespaces').push({ metadata: { name, labels } }))

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/drawbridge-seccomp/leases'
const named = (name: string): object => ({ metadata: { name } })
const SECCOMP_NAMESPACE = named('drawbridge-seccomp')
const wants = (name: string, profile: string): object => ({
  metadata: { name, labels: { 'drawbridge.dev/enforce': 'standard', 'drawbridge.dev/seccomp': profile } },
})
/** What a node says of its seccomp profiles, that many seconds ago. */
const report = (name: string, seconds: number, ...profiles: readonly string[]): object => ({
  metadata: {
    name,
    annotations: {
      'drawbridge.dev/seccomp-profiles': JSON.stringify(Object.fromEntries(profiles.map((one) => [one, '00']))),
    },
  },
  spec: { renewTime: new Date(NOW - seconds * 1000).toISOString() },
})

/** What is spoiled, and every line that is not ok afterwards. */
const CASES: readonly (readonly [name: string, spoiled: Spoiled, lines: readonly string[]])[] = [
  [
    'an old cluster',
    objects((all) => all.set('/version', { minor: '29+', gitVersion: 'v1.29.1' })),
    ['problem kubernetes: Kubernetes v1.29.1; Drawbridge needs 1.30 or newer > upgrade the cluster'],
  ],
  [
    'a CRD that is missing',
    objects((all) =>
      all.delete('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imageverdicts.drawbridge.dev'),
    ),
    [`problem crds: the CustomResourceDefinition imageverdicts.drawbridge.dev is not installed > ${HELM}`],
  ],
  [
    'a CRD that is not served',
    objects((all) => {
      all.get('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imageverdicts.drawbridge.dev').status = {}
    }),
    [
      'problem crds: the API server does not serve imageverdicts.drawbridge.dev > kubectl describe crd imageverdicts.drawbridge.dev',
    ],
  ],
  [
    'an entry that is missing, and a foreign one',
    objects((all) => {
      all.get(VALIDATING).webhooks[0].name = 'elsewhere.example'
    }),
    [
      `problem webhooks: ValidatingWebhookConfiguration drawbridge: enforce.drawbridge.dev is missing, should be registered > ${ANEW}`,
      `problem webhooks: ValidatingWebhookConfiguration drawbridge: elsewhere.example is registered, should be no such entry > ${ANEW}`,
    ],
  ],
  [
    'entries that were edited',
    objects((all) => {
      const [first, second] = all.get(VALIDATING).webhooks
      Object.assign(first, { failurePolicy: 'Ignore', timeoutSeconds: 30 })
      second.clientConfig.service.path = '/other'
    }),
    [
      `problem webhooks: ValidatingWebhookConfiguration drawbridge: enforce.drawbridge.dev: failurePolicy is Ignore, should be Fail > ${HELM}`,
      `problem webhooks: ValidatingWebhookConfiguration drawbridge: enforce-net.drawbridge.dev: path is /other, should be /validate/enforce-net > ${HELM}`,
      `warning webhooks: ValidatingWebhookConfiguration drawbridge: enforce.drawbridge.dev: timeoutSeconds is 30, should be 5 > ${HELM}`,
    ],
  ],
  [
    'an entry that is called somewhere else',
    objects((all) => {
      all.get(VALIDATING).webhooks[0].clientConfig.service.namespace = 'elsewhere'
    }),
    [
      `problem webhooks: webhook configurations drawbridge: clientConfig is service drawbridge/drawbridge:443, service elsewhere/drawbridge:443, should be one place for all entries > ${HELM}`,
    ],
  ],
  [
    'a second Drawbridge',
    objects((all) =>
      all
        .get(`${REGISTRATION}/mutatingwebhookconfigurations`)
        .push({ metadata: { name: "old'; rm -rf" }, webhooks: [{ name: 'mutate.drawbridge.dev' }] }),
    ),
    [
      `problem webhooks: the mutatingwebhookconfiguration old'; rm -rf belongs to a second Drawbridge: pods are judged twice > kubectl delete mutatingwebhookconfiguration 'old'\\''; rm -rf'`,
    ],
  ],
  [
    'a caBundle that is empty',
    objects((all) => {
      delete all.get(VALIDATING).webhooks[0].clientConfig.caBundle
    }),
    [
      `problem ca-bundle: caBundle of enforce.drawbridge.dev holds no certificate: the API server cannot verify Drawbridge there > ${RESTART}`,
    ],
  ],
  [
    'a caBundle of another authority everywhere',
    objects((all) => {
      for (const kind of ['mutating', 'validating'])
        for (const webhook of all.get(`${REGISTRATION}/${kind}webhookconfigurations/drawbridge`).webhooks)
          webhook.clientConfig.caBundle = base64(otherAuthority.certificate)
    }),
    [`problem ca-bundle: caBundle does not trust the serving certificate (Secret drawbridge-tls) > ${RESTART}`],
  ],
  [
    'a serving certificate that nobody renewed',
    metrics(METRICS.replace('31535999', '86400')),
    [
      'warning ca-bundle: the serving certificate of drawbridge-a expires on 2026-11-23 > docs/certificates.md says who renews it; its log says why that did not happen',
    ],
  ],
  [
    'a replica that knows that it is not trusted',
    metrics(METRICS.replace('drawbridge_ca_bundle_trusted 1', 'drawbridge_ca_bundle_trusted 0')),
    [`problem ca-bundle: drawbridge-a says that caBundle does not trust what it serves > ${RESTART}`],
  ],
  [
    'nobody asked',
    { dryRun: { status: 201, message: '' } },
    [
      `problem reachable: the API server does not ask Drawbridge: a profile that contradicts itself would be taken > ${HELM}`,
    ],
  ],
  [
    'no endpoints',
    failed('no endpoints available for service "drawbridge"'),
    unanswered(
      'no replica is ready behind the Service',
      'no endpoints available for service "drawbridge"',
      `${PODS}; then kubectl -n drawbridge logs -l app.kubernetes.io/name=drawbridge`,
    ),
  ],
  ...(
    [
      ['service "drawbridge" not found', 'there is no Service', HELM],
      [
        'context deadline exceeded',
        'no answer in time: a firewall or a NetworkPolicy between the API server and port 8443, or a server that hangs',
        `let the API server reach port 8443 (docs/install.md#network); ${PODS}`,
      ],
      [
        'tls: failed to verify certificate: x509: certificate signed by unknown authority',
        'the API server does not trust its certificate: caBundle is wrong',
        HELM,
      ],
      [
        'tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time',
        'its certificate is not valid now',
        'docs/certificates.md; look at the clock of the nodes too',
      ],
      [
        'tls: failed to verify certificate: x509: certificate is valid for a, not b',
        'its certificate is for another name than the one that is called',
        'add the name to tls.names of drawbridge.yaml (docs/certificates.md)',
      ],
      ['dial tcp 10.0.0.5:8443: connect: connection refused', 'nothing listens there', PODS],
      ['dial tcp: lookup x on 10.0.0.1:53: no such host', 'the API server cannot resolve the host of the URL', HELM],
      [
        'dial tcp 10.0.0.5:8443: connect: no route to host',
        'the API server has no route to it',
        'let the API server reach port 8443 (docs/install.md#network)',
      ],
      ['EOF', 'the connection is cut before an answer comes: something in between, or it is stopping', PODS],
      [
        'an error on the server ("") has prevented the request: unexpected response code 502',
        'something else answers there',
        HELM,
      ],
    ] as const
  ).map(([cause, what, todo]) => [`the answer: ${cause}`, failed(cause), unanswered(what, cause, todo)] as const),
  [
    'no right to try',
    { dryRun: { status: 403, message: 'admissionprofiles.drawbridge.dev is forbidden' } },
    [
      'unknown reachable: whether the API server reaches Drawbridge: needs the right to create admissionprofiles.drawbridge.dev (a dry run)',
    ],
  ],
  [
    'replicas that are not ready',
    objects((all) => {
      all.get(DEPLOYMENT).status = {}
    }),
    [
      'problem replicas: none of 2 replicas is ready > kubectl -n drawbridge describe pods -l app.kubernetes.io/name=drawbridge',
    ],
  ],
  [
    'one replica, and no budget',
    objects((all) => {
      all.get(DEPLOYMENT).spec.replicas = 1
      all.get(DEPLOYMENT).status.readyReplicas = 1
      all.delete('/apis/policy/v1/namespaces/drawbridge/poddisruptionbudgets/drawbridge')
    }),
    [
      'warning replicas: there is one replica: while it restarts, pods of enforcing namespaces are refused > kubectl -n drawbridge scale deployment/drawbridge --replicas 2',
      `warning replicas: there is no PodDisruptionBudget: draining nodes may end all replicas at once > ${HELM} --set podDisruptionBudget.enabled=true`,
    ],
  ],
  [
    'no workload',
    objects((all) => all.delete(DEPLOYMENT)),
    [
      'problem replicas: there is no Deployment or StatefulSet drawbridge in drawbridge > sed \'s|image: "drawbridge:|image: "YOUR-REGISTRY/drawbridge:|\' manifests/install.yaml | kubectl apply -f -',
    ],
  ],
  [
    'replicas of two versions',
    {
      replicas: ['1.0', '0.9'].map((version) => ({
        name: version,
        metrics: parseMetrics(METRICS.replace('version="1.0"', `version="${version}"`)),
      })),
    },
    ['warning replicas: replicas of different versions run: 1.0, 0.9 > wait for the rollout, or end what hangs in it'],
  ],
  [
    'another version than this program',
    metrics(METRICS.replace('version="1.0"', 'version="0.9"')),
    ['warning replicas: Drawbridge is 0.9 and this program 1.0 > use the program of the same version, or upgrade'],
  ],
  [
    'a guard that is missing',
    objects((all) => all.delete(`${REGISTRATION}/validatingadmissionpolicies/drawbridge-verdicts`)),
    [`problem guards: the ValidatingAdmissionPolicy drawbridge-verdicts is missing: what it guards is open > ${HELM}`],
  ],
  [
    'a binding that only warns',
    objects((all) => {
      all.get(`${REGISTRATION}/validatingadmissionpolicybindings/drawbridge-guard`).spec.validationActions = ['Warn']
    }),
    [
      `problem guards: ValidatingAdmissionPolicyBinding drawbridge-guard: validationActions is ["Warn"], should be ["Deny"] > kubectl delete validatingadmissionpolicybinding drawbridge-guard && ${HELM}`,
    ],
  ],
  [
    'a right that is missing',
    { mayDo: async (_subject, { resource, verb }) => !(resource === 'secrets' && verb === 'create') },
    [
      `problem rights: system:serviceaccount:drawbridge:drawbridge lacks 1 right: create secrets in drawbridge > ${HELM}`,
    ],
  ],
  [
    'rights that nobody may ask about',
    { mayDo: async () => undefined },
    ['unknown rights: what Drawbridge may do: needs the right to create subjectaccessreviews.authorization.k8s.io'],
  ],
  [
    'a Secret without a key, and one that is missing',
    objects((all) => {
      delete all.get('/api/v1/namespaces/drawbridge/secrets/drawbridge-tokens').data['admin-token']
      all.delete('/api/v1/namespaces/drawbridge/secrets/drawbridge-tls')
    }),
    [
      'problem secrets: the Secret drawbridge-tokens lacks admin-token > kubectl -n drawbridge create secret generic drawbridge-tokens --from-literal=alert-token="$(openssl rand -hex 32)" --from-literal=admin-token="$(openssl rand -hex 32)"',
      'problem secrets: the Secret drawbridge-tls is missing > kubectl -n drawbridge rollout restart deployment/drawbridge (it makes the Secret)',
    ],
  ],
  [
    'a sensor that fell silent',
    metrics(METRICS.replace(`${NOW / 1000 - 180}`, `${NOW / 1000 - 18_000}`)),
    [
      'warning sensors: no sensor has sent an alert in the last hour (falco 5h ago) > raise one: kubectl exec -it into any pod, which Falco reports as "Terminal shell in container"; how sensors are wired: docs/sensors.md',
    ],
  ],
  [
    'no sensor at all',
    metrics(METRICS.replace(/drawbridge_last_alert.*/, '')),
    [
      'warning sensors: no sensor has sent an alert since Drawbridge started, 2h ago > raise one: kubectl exec -it into any pod, which Falco reports as "Terminal shell in container"; how sensors are wired: docs/sensors.md',
    ],
  ],
  [
    'alerts that are refused, unreadable or not written',
    metrics(`${METRICS}
drawbridge_alert_requests_refused_total{source="falco",reason="unauthorized"} 3
drawbridge_alerts_refused_total{source="falco",code="not-json"} 2
drawbridge_ledger_failures_total 1
drawbridge_alert_thread_restarts_total 4
`),
    [
      'warning sensors: 3 alert requests refused since the start: unauthorized > give the sensor the token of the Secret drawbridge-tokens (docs/sensors.md)',
      'warning sensors: alerts could not be read since the start: 2 not-json > compare what the sensor sends with docs/sensors.md: drawbridge replay FILE --source SENSOR',
      'warning sensors: 1 write to the ledger failed since the start > docs/runbook.md says what to look at',
      'warning sensors: the alert thread ended 4 times since the start > see the log for the reason; memory: docs/operations.md#memory',
    ],
  ],
  [
    'replicas that cannot be asked',
    { replicas: [{ name: 'drawbridge-a', why: 'needs the right to get pods/proxy in drawbridge' }] },
    ['unknown sensors: what drawbridge-a has received: needs the right to get pods/proxy in drawbridge'],
  ],
  [
    'a misspelt label',
    labelled('web', { 'drawbridge.dev/enforse': 'baseline' }),
    [
      'problem namespaces: namespace web: label drawbridge.dev/enforse means nothing; did you mean drawbridge.dev/enforce? > kubectl label namespace web drawbridge.dev/enforse-',
    ],
  ],
  [
    'misspelt labels that would weaken, and carries no value over',
    labelled('web', {
      'drawbridge.dev/enforcee': 'privileged',
      'drawbridge.dev/when-dwn': 'net',
      'drawbridge.dev/quarantin': 'off',
    }),
    [
      ['enforcee', 'enforce'],
      ['when-dwn', 'when-down'],
      ['quarantin', 'quarantine'],
    ].map(
      ([label, meant]) =>
        `problem namespaces: namespace web: label drawbridge.dev/${label} means nothing; did you mean drawbridge.dev/${meant}? > kubectl label namespace web drawbridge.dev/${label}-`,
    ),
  ],
  [
    'a profile that does not exist',
    labelled('web', { 'drawbridge.dev/enforce': 'ours' }),
    [
      'problem namespaces: namespace web: namespace label drawbridge.dev/enforce: "ours" is no profile; restricted:latest is enforced until it is corrected > correct the label: kubectl get namespace web --show-labels; profiles: kubectl get admissionprofiles',
    ],
  ],
  [
    'labels in vain, and one that switches verdicts off',
    objects((all) => {
      all.get('/api/v1/namespaces')[1].metadata.labels = { 'drawbridge.dev/enforce': 'baseline' }
      all.get('/api/v1/namespaces')[0].metadata.labels['drawbridge.dev/quarantine'] = 'off'
    }),
    [
      'warning namespaces: namespace kube-system is labelled in vain: it is never sent to Drawbridge > kubectl label namespace kube-system drawbridge.dev/enforce-',
      'warning namespaces: flagged images are not denied in shop (drawbridge.dev/quarantine=off) > kubectl label --overwrite namespace shop drawbridge.dev/quarantine=enforce',
    ],
  ],
  [
    'nobody opted in',
    objects((all) => all.set('/api/v1/namespaces', [])),
    [
      'warning namespaces: no namespace has opted in: nothing is checked > kubectl label namespace NAME drawbridge.dev/warn=standard',
    ],
  ],
  [
    'a profile that cannot be used',
    objects((all) => all.set(`${OURS}/admissionprofiles`, [{ ...PROBE, metadata: { name: 'ours' } }])),
    [
      'problem namespaces: AdmissionProfile ours cannot be used: spec.runAsUser: holds only user 0, and standard forbids user 0 > kubectl edit admissionprofile ours',
    ],
  ],
  [
    'a node that reports no profiles, one whose report is old, and one that lacks what is asked for',
    objects((all) => {
      all
        .get('/api/v1/namespaces')
        .push(SECCOMP_NAMESPACE, wants('web', 'localhost.web'), wants('pay', 'localhost.web'))
      all.set('/api/v1/nodes', ['a', 'b', 'c', 'd'].map(named))
      all.set(LEASES, [report('b', 300, 'web'), report('c', 10, 'audit-web'), report('d', 10, 'audit-web', 'web')])
    }),
    [
      'warning seccomp: only 2 of 4 nodes report seccomp profiles, not a, b: pods that may run there get RuntimeDefault instead of what their namespace asks for > kubectl -n drawbridge-seccomp get pods -o wide, and the log of the pod on that node',
      'warning seccomp: 1 node of 4 without the seccomp profile web, asked for by web, pay: c; pods that may run there get RuntimeDefault > put web.json into the ConfigMap of seccompSync.configMap, or correct the label; why it was left out: kubectl -n drawbridge-seccomp logs daemonset/drawbridge-seccomp',
    ],
  ],
  [
    'nodes that nobody asks anything of',
    objects((all) => {
      all.get('/api/v1/namespaces').push(SECCOMP_NAMESPACE)
      all.set('/api/v1/nodes', [named('a')])
    }),
    [],
  ],
  [
    'an AdmissionProfile whose seccomp profile a node lacks',
    objects((all) => {
      all.get('/api/v1/namespaces').push(SECCOMP_NAMESPACE, {
        metadata: { name: 'web', labels: { 'drawbridge.dev/enforce': 'ours' } },
      })
      const spec = {
        extends: { level: 'standard' },
        seccomp: { type: 'Localhost', localhostProfile: 'drawbridge/mine.json' },
      }
      all.set(`${OURS}/admissionprofiles`, [{ ...PROBE, metadata: { name: 'ours' }, spec }])
      all.set('/api/v1/nodes', [named('a')])
      all.set(LEASES, [report('a', 10, 'web')])
    }),
    [
      'warning seccomp: 1 node of 1 without the seccomp profile mine, asked for by web: a; pods that may run there get RuntimeDefault > put mine.json into the ConfigMap of seccompSync.configMap, or correct the label; why it was left out: kubectl -n drawbridge-seccomp logs daemonset/drawbridge-seccomp',
    ],
  ],
  [
    'the brake',
    objects((all) =>
      all.set(BRAKE, {
        metadata: { managedFields: [{ time: '2026-11-20T08:00:00Z', fieldsV1: { 'f:data': { 'f:quarantine': {} } } }] },
        data: { quarantine: 'warn' },
      }),
    ),
    [
      'warning brake: the brake is on (warn): no verdict denies, since 2026-11-20T08:00:00Z > kubectl -n drawbridge delete configmap drawbridge',
    ],
  ],
  [
    'a brake that nobody can read',
    objects((all) => all.set(BRAKE, { data: { quarantine: 'false' } })),
    [
      'problem brake: the brake says "false", which is none of enforce, warn, off: enforce holds > kubectl -n drawbridge delete configmap drawbridge',
    ],
  ],
  [
    'a verdict that waits',
    objects((all) =>
      all.set(`${OURS}/imageverdicts`, [
        { metadata: { name: 'sha256-aa' }, status: { phase: 'pending', references: ['registry.example/web:1'] } },
      ]),
    ),
    [
      'warning verdicts: verdict sha256-aa of registry.example/web:1 waits for a person: it warns and denies nothing > drawbridge verdicts show sha256-aa --kubeconfig FILE, then confirm or release it (docs/runbook.md)',
    ],
  ],
  [
    'an exception that ends, and one that says nothing',
    objects((all) =>
      all.set(`${OURS}/admissionexceptions`, [
        {
          apiVersion: 'drawbridge.dev/v1alpha1',
          kind: 'AdmissionException',
          metadata: { name: 'legacy' },
          spec: {
            namespaces: ['shop'],
            images: ['registry.example/web:1'],
            serviceAccounts: ['default'],
            checks: ['privileged'],
            reason: 'r',
            expiresAt: '2026-11-25T00:00:00Z',
          },
        },
      ]),
    ),
    [
      'warning exceptions: 1 exception ends within a week: legacy 2026-11-25T00:00:00Z > repair what it excuses, or grant it anew: kubectl edit admissionexception legacy',
    ],
  ],
]

describe('drawbridge doctor', () => {
  it('finds nothing in an installation as it should be', async () => {
    const { code, lines, all } = await examine()
    assert.deepEqual([code, lines], [0, []])
    assert.deepEqual(
      all.map((line) => line.split(' ')[1]?.replace(':', '')),
      CHECKS.map(({ id }) => id),
    )
  })

  for (const [name, spoiled, lines] of CASES) {
    it(`names ${name}`, async () => {
      const found = await examine(spoiled)
      assert.deepEqual(found.lines, lines)
      assert.equal(found.code, lines.some((line) => line.startsWith('problem ')) ? 1 : 0)
    })
  }

  it('says who asks for which seccomp profile, and whether anybody looks', async () => {
    const said = async (spoil: (all: Objects) => void): Promise<string | undefined> =>
      (await examine(objects(spoil))).all.find((line) => line.includes(' seccomp: '))
    assert.equal(await said(() => undefined), 'ok seccomp: no namespace asks for a seccomp profile on nodes')
    assert.equal(
      await said((all) => all.get('/api/v1/namespaces').push(wants('web', 'localhost.web'))),
      'ok seccomp: nobody looks whether nodes have the seccomp profiles that are asked for, web by web (seccompSync of the chart is off)',
    )
    assert.equal(
      await said((all) => {
        all.get('/api/v1/namespaces').push(SECCOMP_NAMESPACE, wants('pay', 'localhost.audit-web'))
        all.set('/api/v1/nodes', [named('a')])
        all.set(LEASES, [report('a', 119, 'audit-web')])
      }),
      'ok seccomp: 1 of 1 node reports the seccomp profiles that are asked for: audit-web by pay',
    )
  })

  it('never prints what Secrets hold', async () => {
    const { text, all } = await examine()
    for (const secret of ['eA==', 'c2VjcmV0', 'BEGIN']) assert.ok(!`${text}${all.join()}`.includes(secret), secret)
  })

  it('says of each check that may not read what it needs, and finds no problem by that', async () => {
    const { code, lines } = await examine({
      forbidden: ['/api', '/apis'],
      dryRun: { status: 403, message: 'forbidden' },
      mayDo: async () => undefined,
      replicas: [],
    })
    assert.equal(code, 0)
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('unknown ')),
      [],
    )
    const checks = new Set(lines.map((line) => line.split(' ')[1]?.replace(':', '')))
    assert.deepEqual(
      [...checks],
      CHECKS.map(({ id }) => id).filter((id) => id !== 'kubernetes'),
    )
  })

  it('survives a check that throws', async () => {
    const { lines } = await examine(
      objects((all) => all.set('/api/v1/namespaces', [{ metadata: { labels: 5 } }, null])),
    )
    assert.ok(
      lines.every((line) => /^(unknown|warning) (namespaces|seccomp): /.test(line)),
      lines.join('\n'),
    )
  })

  it('prints problems first, what to do once, and breaks no command', () => {
    const todo = 'kubectl apply -f a/very/long/path/that/is/wider/than/the/terminal/of/forty/characters.yaml'
    assert.equal(
      textReport(
        [
          { check: 'kubernetes', level: 'ok', found: 'Kubernetes 1.35' },
          { check: 'crds', level: 'problem', found: 'one is missing', todo },
          { check: 'crds', level: 'problem', found: 'another\u001b[31m is missing', todo },
          { check: 'brake', level: 'unknown', found: 'needs the right to look' },
        ],
        60,
      ),
      [
        'PROBLEM  crds        one is missing',
        'PROBLEM  crds        another?[31m is missing',
        `                     > ${todo}`,
        'UNKNOWN  brake       needs the right to look',
        'OK       kubernetes  Kubernetes 1.35',
        '',
        '2 problems, 0 warnings, 1 unknown, 1 ok',
        '',
      ].join('\n'),
    )
  })

  it('quotes what comes from the cluster', () => {
    assert.equal(word('drawbridge.dev/enforce'), 'drawbridge.dev/enforce')
    assert.equal(word('a b'), "'a b'")
    assert.equal(word("$(x)'"), String.raw`'$(x)'\'''`)
  })

  it('reads metrics', () => {
    const read = parseMetrics('# HELP a b\na 1\na{x="1.2",y="z"} 2.5\nb{} 3\nrubbish\n')
    assert.deepEqual(read.get('a'), [
      { labels: {}, value: 1 },
      { labels: { x: '1.2', y: 'z' }, value: 2.5 },
    ])
    assert.equal(sumOf(read, 'a', { y: 'z' }), 2.5)
    assert.equal(sumOf(read, 'none'), 0)
  })

  it('tries with a profile that only the webhook refuses', () => {
    assert.deepEqual(loadProfile(PROBE).problems, ['spec.runAsUser: holds only user 0, and standard forbids user 0'])
  })
})

describe('a server alone', () => {
  const server = {
    webhook: 'https://127.0.0.1:1',
    ca: 'data/tls/ca.crt',
    health: ['[+]tls ok', '[-]verdicts failed: the alert thread is starting again', 'readyz check failed'],
    replica: { name: 'it', metrics: parseMetrics(METRICS) },
  }
  it('is looked at beside the cluster that it is for', async () => {
    const { lines } = await examine({ local: server })
    assert.deepEqual(lines, [
      'problem server: not ready: verdicts failed: the alert thread is starting again > see its log',
    ])
  })
})
