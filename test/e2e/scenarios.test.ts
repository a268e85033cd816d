/**
 * Every scenario of docs/design.md on real containers, under each countermeasure: attack, alert, denial; and those that Tracee has a signature for, as
 * it reports them. Prints tables, and holds docs/scenarios.md to them (`UPDATE_DOCS=yes` writes them again). `SENSOR=falco` and `SENSOR=tracee` run the
 * table of that sensor with a real one.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { createClient, loadKubeConfig } from '../../src/adapters/kubernetes/client.ts'
import type { KubernetesClient } from '../../src/adapters/kubernetes/client.ts'
import { falco } from '../../src/alerts/sources/falco.ts'
import { tracee } from '../../src/alerts/sources/tracee.ts'
import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { endpointOf, startAuditWebhook } from './endpoint.ts'
import { playedFalco, realFalco } from './falco.ts'
import { COUNTERMEASURES, describeOutcome, renderTable, SCENARIOS, TRACEE_SCENARIOS } from './scenarios.ts'
import type { Countermeasure, Outcome, Scenario } from './scenarios.ts'
import { chosenSensor } from './sensors.ts'
import type { Sensor, Victim } from './sensors.ts'
import { installation, runPod } from './shared.ts'
import { makeTraceeToken, playedTracee, realTracee, traceeSettings } from './tracee.ts'
import { replicas, upgrade } from './upgrade.ts'
import type { Report } from './zipapp.ts'
import { ZipApp } from './zipapp.ts'

const run = promisify(execFile)
const PAGE = join(root, 'docs/scenarios.md')
const REAL = chosenSensor(process.env['SENSOR'])
const SETTINGS = [
  // Enough for all scenarios to be denied: each cell has an image of its own.
  'config.quarantine.budget.perCluster=100',
  ...traceeSettings(),
]
const DECODERS = { falco, tracee }
const NAMES = { falco: 'Falco', tracee: 'Tracee', 'k8s-audit': 'the audit log' }
const imageOf = (cell: string): string => `registry.example/zipapp:${cell}`

/** A table of the page: rows by name, each with its name first. */
interface Table {
  readonly name: string
  readonly head: readonly string[]
  readonly rows: Map<string, string[]>
}

/** What is read of a pod that runs. */
interface RunningPod {
  readonly metadata: { readonly uid: string }
  readonly spec: {
    readonly containers: readonly [{ readonly image: string }]
    readonly securityContext?: { readonly seccompProfile?: { readonly type: string } }
  }
  readonly status: { readonly podIP: string; readonly containerStatuses: readonly [{ readonly containerID: string }] }
}

/** A listener on the node that gives a reverse shell one command; what the shell answered is in `said`. */
async function startListener(host: string): Promise<{ server: Server; port: number; said: () => string }> {
  let said = ''
  const server = createServer((socket) => {
    socket.on('data', (chunk) => (said += chunk.toString()))
    socket.on('error', () => undefined)
    socket.end('echo "a shell that answers a stranger"; exit\n')
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return { server, port: (server.address() as AddressInfo).port, said: () => said }
}

/** The rules whose alerts are about this scenario, and no other. */
function rulesOf({ sensor, alerts }: Scenario): ReadonlySet<string> {
  if (alerts === undefined || sensor === 'k8s-audit') return new Set(['exec'])
  const lines = readFileSync(join(root, alerts), 'utf8').trim().split('\n')
  return new Set(
    lines.map((line) => {
      const decoded = DECODERS[sensor].decode(JSON.parse(line))
      assert.ok(decoded.kind === 'finding', line)
      return decoded.alert.rule
    }),
  )
}

describe('scenarios on real containers', function () {
  this.timeout(180_000)
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-scenarios-'))
  /** Their names: each has a namespace and an image of its own. */
  const cells: string[] = []
  let cluster: NodeCluster
  let client: KubernetesClient
  let zipapp: ZipApp
  let sensors: Readonly<Record<'falco' | 'tracee', Sensor>>
  let listener: Awaited<ReturnType<typeof startListener>>

  before(async function () {
    // A real sensor's image is large.
    if (REAL !== undefined) this.timeout(600_000)
    ;({ cluster } = installation())
    cluster.installSeccompProfiles(join(root, 'manifests/seccomp'))
    client = createClient(loadKubeConfig({ file: cluster.kubeconfig }))
    zipapp = new ZipApp(cluster)
    await zipapp.makeImages(cells.map(imageOf))
    listener = await startListener(cluster.address)
    const endpoint = await endpointOf(cluster)
    await startAuditWebhook(cluster, endpoint, folder)
    const token = await makeTraceeToken(cluster)
    await upgrade(...SETTINGS)
    sensors = {
      falco: REAL === 'falco' ? realFalco(cluster, endpoint) : playedFalco(endpoint),
      tracee: REAL === 'tracee' ? realTracee(cluster, endpoint, token) : playedTracee(endpoint, token),
    }
    for (const sensor of Object.values(sensors)) await sensor.start()
  })
  after(async () => {
    listener?.server.close()
    zipapp?.remove()
    client?.close()
    for (const sensor of Object.values(sensors ?? {})) await sensor.stop()
    rmSync(folder, { recursive: true, force: true })
    if (cluster !== undefined) await upgrade()
  })

  async function victimIn(
    namespace: string,
  ): Promise<{ readonly victim: Victim; readonly seccomp: string | undefined }> {
    const { metadata, spec, status } = (await client.request(
      'GET',
      `/api/v1/namespaces/${namespace}/pods/zipapp`,
    )) as RunningPod
    const victim = {
      namespace,
      pod: 'zipapp',
      podUid: metadata.uid,
      podIp: status.podIP,
      image: spec.containers[0].image,
      containerId: status.containerStatuses[0].containerID.replace(/^.*\/\//u, ''),
      listener: { host: cluster.address, port: listener.port },
    }
    return { victim, seccomp: spec.securityContext?.seccompProfile?.type }
  }

  /** How many alerts by one of these rules were decided on so far, in all replicas: by their logs, which name the rule. */
  async function decided(rules: ReadonlySet<string>): Promise<number> {
    const texts = await Promise.all((await replicas()).map((pod) => cluster.must(['-n', 'drawbridge', 'logs', pod])))
    return texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.includes('"alert decided"'))
      .filter((line) => rules.has((JSON.parse(line) as { readonly rule: string }).rule)).length
  }

  /** Does what the scenario is about. */
  async function act({ action }: Scenario, namespace: string): Promise<Report> {
    if ('payload' in action)
      return zipapp.run(namespace, 'zipapp', action.payload, {
        HOST: cluster.address,
        PORT: String(listener.port),
        ...action.values,
      })
    const command = [join(cluster.bin, 'kubectl'), 'exec', '-it', '-n', namespace, 'zipapp', '--', ...action.exec]
    const terminal = join(root, 'test/e2e/programs/terminal.py')
    const { stdout } = await run('python3', [terminal, ...command], {
      env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
    })
    assert.match(stdout, /a shell with a terminal/)
    return { call: 'execve', errno: 0 }
  }

  /** What the next deployment of the image meets, once the verdict says what it will be; and that it is for what one of these rules reported of the victim. */
  async function redeploy(
    pod: object,
    namespace: string,
    image: string,
    rules: ReadonlySet<string>,
  ): Promise<'denied' | 'warned about' | 'allowed'> {
    const again = JSON.stringify({ ...pod, metadata: { name: 'again' } })
    const attempt = async (...options: readonly string[]): Promise<'denied' | 'warned about' | 'allowed'> => {
      const { code, stderr } = await cluster.kubectl(['-n', namespace, 'create', ...options, '-f', '-'], again)
      // A long warning comes in several.
      const text = stderr.replaceAll('\nWarning: ', ' ')
      const reported = [...text.matchAll(/ reported "(?<rule>[^"]+)".* in pod (?<pod>\S+) at /gu)]
      for (const { groups } of reported) {
        assert.ok(rules.has(groups!['rule']!), stderr)
        assert.equal(groups!['pod'], `${namespace}/zipapp`, stderr)
      }
      if (code === 0 && reported.length === 0) {
        assert.doesNotMatch(stderr, / reported /u)
        return 'allowed'
      }
      assert.ok(reported.length > 0, stderr)
      if (code === 0) {
        assert.match(stderr, /^Warning: .* reported /mu)
        return 'warned about'
      }
      assert.match(
        stderr,
        /admission webhook "[\w-]+\.drawbridge\.dev" denied the request: .* flagged:\n.* is denied: /u,
      )
      return 'denied'
    }
    const { items } = (await client.request('GET', '/apis/drawbridge.dev/v1alpha1/imageverdicts')) as {
      readonly items: readonly {
        readonly status?: { readonly phase?: string; readonly references?: readonly string[] }
      }[]
    }
    const phase = items.find(({ status }) => status?.references?.some((reference) => reference.endsWith(image)))?.status
      ?.phase
    const expected = phase === 'denying' ? 'denied' : phase === 'warning' ? 'warned about' : 'allowed'
    // The other replica learns it by watching.
    await waitFor(
      async () => (await attempt('--dry-run=server')) === expected,
      10_000,
      `the redeploy to be ${expected}`,
    )
    return attempt()
  }

  async function play(
    scenario: Scenario,
    { labels, seccomp: profile }: Countermeasure,
    name: string,
  ): Promise<Outcome> {
    const image = imageOf(name)
    await cluster.createNamespace(name, labels)
    const pod = zipapp.pod('zipapp', image, scenario.security)
    const refused = await cluster.kubectl(['-n', name, 'create', '--dry-run=server', '-f', '-'], JSON.stringify(pod))
    if (refused.code !== 0) {
      assert.match(refused.stderr, /admission webhook "enforce\.drawbridge\.dev" denied the request/)
      const reasons = [...refused.stderr.matchAll(/^- ([^:]+?)(?: \((\w+)\))?:/gmu)]
      return { prevented: reasons.map(([, title, id]) => id ?? title!) }
    }
    const rules = rulesOf(scenario)
    const before = await decided(rules)
    await runPod(cluster, name, pod)
    const { victim, seccomp } = await victimIn(name)
    assert.equal(seccomp, profile)
    const heard = listener.said().length
    const { call, errno } = await act(scenario, name)
    if ('payload' in scenario.action && scenario.action.payload === 'reverse_shell.py' && errno === 0)
      await waitFor(() => listener.said().slice(heard).includes('answers a stranger'), 10_000, 'the shell to answer')
    const blocked = errno === 0 ? undefined : { call, errno }
    if (blocked !== undefined && scenario.reportedAtStart !== true) return { blocked }

    const { sensor, alerts } = scenario
    if (alerts !== undefined && sensor !== 'k8s-audit') await sensors[sensor].report(alerts, victim)
    const isHeard = await waitFor(
      async () => (await decided(rules)) > before,
      30_000,
      'a decision about the alert',
    ).then(
      () => true,
      () => false,
    )
    return {
      ...(blocked && { blocked }),
      ...(isHeard && { detected: { by: NAMES[sensor], redeploy: await redeploy(pod, name, image, rules) } }),
    }
  }

  const measure = (
    { rows }: Table,
    row: string,
    scenario: Scenario,
    countermeasure: Countermeasure,
    cell: string,
    first: readonly string[] = [],
  ): void => {
    cells.push(cell)
    it(`${row}, sensor: ${scenario.sensor}, countermeasure: ${countermeasure.name}`, async () => {
      const outcome = await play(scenario, countermeasure, cell)
      rows.set(row, [...(rows.get(row) ?? [row, ...first]), describeOutcome(outcome)])
      assert.notDeepEqual(outcome, {}, 'nothing stood in its way, and nobody noticed')
    })
  }

  /** Holds the page to a table whose alerts were played; prints one of a real sensor. */
  const hold = ({ name, head, rows }: Table, isPlayed: boolean): void => {
    it(`the table "${name}" is the one of docs/scenarios.md (UPDATE_DOCS=yes writes it again)`, () => {
      const text = renderTable(head, [...rows.values()])
      process.stdout.write(`\n${text}\n`)
      assert.ok(rows.size > 0 && [...rows.values()].every((row) => row.length === head.length), 'a cell is missing')
      if (!isPlayed) return
      const page = readFileSync(PAGE, 'utf8')
      const start = `<!-- measured: ${name} -->\n`
      const from = page.indexOf(start) + start.length
      const to = page.indexOf('<!-- end -->', from)
      assert.ok(from >= start.length && to >= from)
      if (process.env['UPDATE_DOCS'] === 'yes') writeFileSync(PAGE, page.slice(0, from) + text + page.slice(to))
      else assert.equal(page.slice(from, to), text)
    })
  }

  if (REAL !== 'falco')
    describe('reported by Tracee', () => {
      const [countermeasure] = COUNTERMEASURES
      const table = { name: 'Tracee', head: ['scenario', 'event of Tracee', countermeasure!.name], rows: new Map() }
      for (const scenario of TRACEE_SCENARIOS)
        measure(table, scenario.name, scenario, countermeasure!, scenario.id, [`\`${scenario.event}\``])
      hold(table, REAL === undefined)
    })

  if (REAL !== 'tracee')
    describe('by countermeasure', () => {
      const table = {
        name: 'scenarios',
        head: ['scenario', ...COUNTERMEASURES.map(({ name }) => name)],
        rows: new Map(),
      }
      for (const scenario of SCENARIOS)
        for (const [column, countermeasure] of COUNTERMEASURES.entries())
          measure(table, scenario.name, scenario, countermeasure, `${scenario.id}-${column}`)

      describe('under preset: strict', () => {
        before(() => upgrade(...SETTINGS, 'config.quarantine.preset=strict'))
        for (const scenario of SCENARIOS.filter(({ id }) => id === 'capable' || id === 'terminal'))
          for (const [column, countermeasure] of COUNTERMEASURES.entries())
            measure(
              table,
              `${scenario.name}, \`preset: strict\``,
              scenario,
              countermeasure,
              `strict-${scenario.id}-${column}`,
            )
        hold(table, REAL === undefined)
      })
    })
})
