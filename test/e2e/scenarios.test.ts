/**
 * Every scenario of docs/design.md on real containers, under each countermeasure: attack, alert, denial. Prints a table, and holds
 * docs/scenarios.md to it (`UPDATE_DOCS=yes` writes it again). `SENSOR=falco` runs the same with a real Falco.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { waitFor } from '../cluster/harness.ts'
import type { NodeCluster } from '../cluster/harness.ts'
import { root } from '../docs/markdown.ts'
import { endpointOf, startAuditWebhook } from './endpoint.ts'
import { COUNTERMEASURES, describeOutcome, renderTable, SCENARIOS } from './scenarios.ts'
import type { Countermeasure, Outcome, Scenario } from './scenarios.ts'
import { playedFalco, realFalco } from './sensors.ts'
import type { Sensor, Victim } from './sensors.ts'
import { installation, runPod } from './shared.ts'
import { replicas, upgrade } from './upgrade.ts'
import type { Report } from './zipapp.ts'
import { ZipApp } from './zipapp.ts'

const run = promisify(execFile)
const PAGE = join(root, 'docs/scenarios.md')
const PLAYED = process.env['SENSOR'] !== 'falco'
/** Enough for all scenarios to be denied: each cell has an image of its own. */
const BUDGET = 'config.quarantine.budget.perCluster=100'

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

describe('scenarios on real containers', function () {
  this.timeout(180_000)
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-scenarios-'))
  let cluster: NodeCluster
  let zipapp: ZipApp
  let sensor: Sensor
  let listener: Awaited<ReturnType<typeof startListener>>

  before(async () => {
    ;({ cluster } = installation())
    cluster.installSeccompProfiles(join(root, 'manifests/seccomp'))
    zipapp = new ZipApp(cluster)
    listener = await startListener(cluster.address)
    const endpoint = await endpointOf(cluster)
    await startAuditWebhook(cluster, endpoint, folder)
    await upgrade(BUDGET)
    sensor = PLAYED ? playedFalco(endpoint) : realFalco(cluster, endpoint)
    await sensor.start()
  })
  after(async () => {
    listener?.server.close()
    zipapp?.remove()
    await sensor?.stop()
    rmSync(folder, { recursive: true, force: true })
    if (cluster !== undefined) await upgrade()
  })

  const get = (namespace: string, pod: string, path: string): Promise<string> =>
    cluster.must(['-n', namespace, 'get', 'pod', pod, '-o', `jsonpath=${path}`])

  /** How many alerts were decided on so far, in all replicas. */
  async function decided(): Promise<number> {
    const texts = await Promise.all(
      (await replicas()).map((pod) =>
        cluster.must(['get', '--raw', `/api/v1/namespaces/drawbridge/pods/https:${pod}:8445/proxy/metrics`]),
      ),
    )
    return texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith('drawbridge_alert_decisions_total{'))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }

  /** Does what the scenario is about. */
  async function act({ action }: Scenario, namespace: string): Promise<Report> {
    if ('payload' in action)
      return zipapp.run(namespace, 'zipapp', action.payload, { HOST: cluster.address, PORT: String(listener.port) })
    const command = [join(cluster.bin, 'kubectl'), 'exec', '-it', '-n', namespace, 'zipapp', '--', ...action.exec]
    const terminal = join(root, 'test/e2e/programs/terminal.py')
    const { stdout } = await run('python3', [terminal, ...command], {
      env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
    })
    assert.match(stdout, /a shell with a terminal/)
    return { call: 'execve', errno: 0 }
  }

  /** What the next deployment of the image meets, once the verdict says what it will be. */
  async function redeploy(
    pod: object,
    namespace: string,
    image: string,
  ): Promise<'denied' | 'warned about' | 'allowed'> {
    const again = JSON.stringify({ ...pod, metadata: { name: 'again' } })
    const attempt = async (...options: readonly string[]): Promise<'denied' | 'warned about' | 'allowed'> => {
      const { code, stderr } = await cluster.kubectl(['-n', namespace, 'create', ...options, '-f', '-'], again)
      if (code === 0) return /^Warning: .* reported /mu.test(stderr) ? 'warned about' : 'allowed'
      assert.match(
        stderr,
        /admission webhook "[\w-]+\.drawbridge\.dev" denied the request: .* flagged:\n.* is denied: /u,
      )
      return 'denied'
    }
    const verdicts = await cluster.must(['get', 'imageverdicts', '-o', 'json'])
    const { items } = JSON.parse(verdicts) as {
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

  async function play(scenario: Scenario, { labels }: Countermeasure, name: string): Promise<Outcome> {
    const image = `registry.example/zipapp:${name}`
    await zipapp.makeImage(image)
    await cluster.createNamespace(name, labels)
    const pod = zipapp.pod('zipapp', image, scenario.security)
    const refused = await cluster.kubectl(['-n', name, 'create', '--dry-run=server', '-f', '-'], JSON.stringify(pod))
    if (refused.code !== 0) {
      assert.match(refused.stderr, /admission webhook "enforce\.drawbridge\.dev" denied the request/)
      const reasons = [...refused.stderr.matchAll(/^- ([^:]+?)(?: \((\w+)\))?:/gmu)]
      return { prevented: reasons.map(([, title, id]) => id ?? title!) }
    }
    const before = await decided()
    await runPod(cluster, name, pod)
    const victim: Victim = {
      namespace: name,
      pod: 'zipapp',
      podIp: await get(name, 'zipapp', '{.status.podIP}'),
      containerId: (await get(name, 'zipapp', '{.status.containerStatuses[0].containerID}')).replace(/^.*\/\//u, ''),
      listener: { host: cluster.address, port: listener.port },
    }
    const heard = listener.said().length
    const { call, errno } = await act(scenario, name)
    if (scenario.id === 'shell' && errno === 0)
      await waitFor(() => listener.said().slice(heard).includes('answers a stranger'), 10_000, 'the shell to answer')
    const blocked = errno === 0 ? undefined : { call, errno }
    if (blocked !== undefined && scenario.reportedAtStart !== true) return { blocked }

    if (scenario.alerts !== undefined) await sensor.report(scenario.alerts, victim)
    const isHeard = await waitFor(async () => (await decided()) > before, 30_000, 'a decision about the alert').then(
      () => true,
      () => false,
    )
    const by = scenario.sensor === 'falco' ? 'Falco' : 'the audit log'
    return {
      ...(blocked && { blocked }),
      ...(isHeard && { detected: { by, redeploy: await redeploy(pod, name, image) } }),
    }
  }

  const table = new Map<string, string[]>()
  const measure = (row: string, scenario: Scenario, countermeasure: Countermeasure, name: string): void => {
    it(`${row}, countermeasure: ${countermeasure.name}`, async () => {
      const outcome = await play(scenario, countermeasure, name)
      table.set(row, [...(table.get(row) ?? []), describeOutcome(outcome)])
      assert.notDeepEqual(outcome, {}, 'nothing stood in its way, and nobody noticed')
    })
  }

  for (const scenario of SCENARIOS)
    for (const [column, countermeasure] of COUNTERMEASURES.entries())
      measure(scenario.name, scenario, countermeasure, `${scenario.id}-${column}`)

  describe('under preset: strict', () => {
    before(() => upgrade(BUDGET, 'config.quarantine.preset=strict'))
    for (const scenario of SCENARIOS.filter(({ id }) => id === 'capable' || id === 'terminal'))
      for (const [column, countermeasure] of COUNTERMEASURES.entries())
        measure(`${scenario.name}, \`preset: strict\``, scenario, countermeasure, `strict-${scenario.id}-${column}`)
  })

  describe('the table', () => {
    it('is the one of docs/scenarios.md (UPDATE_DOCS=yes writes it again)', () => {
      const rows = [...table].map(([name, cells]) => [name, ...cells])
      const text = renderTable(
        COUNTERMEASURES.map(({ name }) => name),
        rows,
      )
      process.stdout.write(`\n${text}\n`)
      assert.ok(
        rows.every((cells) => cells.length === COUNTERMEASURES.length + 1),
        'not every cell was measured',
      )
      if (!PLAYED) return
      const page = readFileSync(PAGE, 'utf8')
      const start = '<!-- measured: scenarios -->\n'
      const from = page.indexOf(start) + start.length
      const to = page.indexOf('<!-- end -->', from)
      assert.ok(from >= start.length && to >= from)
      if (process.env['UPDATE_DOCS'] === 'yes') writeFileSync(PAGE, page.slice(0, from) + text + page.slice(to))
      else assert.equal(page.slice(from, to), text)
    })
  })
})
