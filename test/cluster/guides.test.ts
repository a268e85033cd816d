/** docs/guides/migrate-from-pod-security-admission.md and minikube.md, command by command, on a real API server with its PodSecurity plugin on. */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { cli, root, RunningProgram, temporaryFolder, until } from '../process/server.ts'
import { openNamespace, reportRunning } from './endToEnd/replicas.ts'
import { startCluster, waitForCrds } from './harness.ts'
import type { Cluster } from './harness.ts'
import { pageSteps } from './pageShell.ts'
import type { PageStep } from './pageShell.ts'
import { makeOwnNamespace } from './shared.ts'

/** A Drawbridge outside of its cluster, registered, and a shell that has its command line. */
class Installed {
  readonly cluster: Cluster
  readonly server: RunningProgram
  /** Thrown away at the end; the first is the data folder. */
  readonly #folders: { readonly path: string; remove(): void }[]

  private constructor(cluster: Cluster, server: RunningProgram, folder: { readonly path: string; remove(): void }) {
    this.cluster = cluster
    this.server = server
    this.#folders = [folder]
  }

  static async start(
    cluster: Cluster,
    options: { readonly config?: string; readonly manifests?: readonly string[] } = {},
  ): Promise<Installed> {
    await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
    await waitForCrds(cluster, 'imageverdicts.drawbridge.dev')
    await makeOwnNamespace(cluster)
    const folder = temporaryFolder()
    const config = `drain: 100ms\ntls: { names: [drawbridge.drawbridge.svc] }\n${options.config ?? ''}`
    writeFileSync(join(folder.path, 'drawbridge.yaml'), config)
    const server = await RunningProgram.start(folder.path, ['--alerts-port', '0'], ['--kubeconfig', cluster.kubeconfig])
    const { webhook, ca } = server.file
    const manifests = cli(['manifests', '--url', webhook, '--ca', ca, '--user', 'admin', ...(options.manifests ?? [])])
    assert.equal(manifests.code, 0, manifests.err)
    await cluster.must(['apply', '-f', '-'], manifests.out)
    return new Installed(cluster, server, folder)
  }

  steps(page: string, rewrite?: (command: string) => string): readonly PageStep[] {
    const folder = temporaryFolder()
    this.#folders.push(folder)
    const { path } = folder
    const launcher = join(path, 'drawbridge')
    writeFileSync(launcher, `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'bin/drawbridge.js')}" "$@"\n`)
    chmodSync(launcher, 0o755)
    return pageSteps({
      page,
      folder: path,
      kubeconfig: this.cluster.kubeconfig,
      path: [path, ...this.cluster.bin.split(delimiter)],
      ...(rewrite && { rewrite }),
    })
  }

  async stop(): Promise<void> {
    await this.server.kill()
    for (const folder of this.#folders) folder.remove()
  }
}

const pod = (name: string, container: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'web', image: 'registry.example/shop/web:1', ...container }] },
  })
const UPSTREAM = 'pod-security.kubernetes.io/enforce'

describe('docs/guides on a real API server', function () {
  this.timeout(180_000)
  let cluster: Cluster
  let installed: Installed
  before(async function () {
    this.timeout(30 * 60_000)
    cluster = await startCluster()
    installed = await Installed.start(cluster)
  })
  after(async () => {
    await installed?.stop()
    await cluster?.stop()
  })

  it('migrate-from-pod-security-admission.md', async () => {
    await openNamespace(cluster, 'shop', { [UPSTREAM]: 'baseline' })
    // Baseline allows it, `standard` does not: it does not say that it is not root.
    await cluster.must(['-n', 'shop', 'create', '-f', '-'], pod('web', {}))
    for (const step of installed.steps('docs/guides/migrate-from-pod-security-admission.md'))
      if (!step.command.startsWith('helm ')) step.run()
    const { metadata } = JSON.parse(await cluster.must(['get', 'namespace', 'shop', '-o', 'json'])) as {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
    }
    assert.equal(metadata.labels['drawbridge.dev/enforce'], 'standard')
    assert.equal(metadata.labels[UPSTREAM], undefined)
    await cluster.must(['delete', 'namespace', 'shop'])
  })

  it('Pod Security sees the seccomp profile that Drawbridge injects, and an exception of ours does not reach it', async () => {
    const safe = {
      allowPrivilegeEscalation: false,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    }
    await openNamespace(cluster, 'both', { [UPSTREAM]: 'restricted' })
    const create = () =>
      cluster.kubectl(['-n', 'both', 'create', '--dry-run=server', '-f', '-'], pod('web', { securityContext: safe }))
    const before = await create()
    assert.match(before.stderr, /violates PodSecurity "restricted:latest": seccompProfile/)
    await cluster.must(['label', 'namespace', 'both', 'drawbridge.dev/enforce=restricted'])
    const after = await create()
    assert.equal(after.code, 0, after.stderr)

    const exception = {
      apiVersion: 'drawbridge.dev/v1alpha1',
      kind: 'AdmissionException',
      metadata: { name: 'migration-both' },
      spec: {
        namespaces: ['both'],
        serviceAccounts: ['*'],
        images: ['registry.example/shop/web:*'],
        checks: ['hostNamespaces'],
        reason: 'a test',
        expiresAt: '2099-01-01T00:00:00Z',
      },
    }
    await cluster.must(['create', '-f', '-'], JSON.stringify(exception))
    const excepted = JSON.parse(pod('web', { securityContext: safe })) as { metadata: object; spec: object }
    excepted.metadata = { name: 'web', annotations: { 'drawbridge.dev/exception': 'migration-both' } }
    excepted.spec = { ...excepted.spec, hostPID: true }
    const dryRun = () =>
      cluster.kubectl(['-n', 'both', 'create', '--dry-run=server', '-f', '-'], JSON.stringify(excepted))
    assert.match((await dryRun()).stderr, /violates PodSecurity "restricted:latest": host namespaces \(hostPID=true\)/)
    await cluster.must(['label', 'namespace', 'both', `${UPSTREAM}-`])
    await until('the exception to count', async () => (await dryRun()).code === 0)
    await cluster.must(['delete', 'admissionexception', 'migration-both'])
  })

  it('the objects of the guides are accepted', async () => {
    const guides = ['migrate-from-kyverno', 'migrate-from-gatekeeper']
    for (const guide of guides) {
      const text = readFileSync(join(root, `docs/guides/${guide}.md`), 'utf8')
      const blocks = [...text.matchAll(/^```yaml file=\S+\n(apiVersion: drawbridge\.dev[^]*?)^```$/gm)].map(
        ([, body = '']) => body,
      )
      assert.equal(blocks.length, 2, guide)
      for (const block of blocks)
        await cluster.must(['create', '--dry-run=server', '--validate=strict', '-f', '-'], block)
    }
  })

  it('minikube.md', async () => {
    const port = new URL(installed.server.file.alerts).port
    const secret = ['-n', 'drawbridge', 'create', 'secret', 'generic']
    await cluster.must([
      ...secret,
      'drawbridge-tokens',
      `--from-literal=alert-token=${installed.server.file.alertToken}`,
    ])
    await cluster.must([...secret, 'drawbridge-tls', `--from-file=ca.crt=${installed.server.file.ca}`])
    const steps = installed.steps('docs/guides/minikube.md', (command) =>
      command.replaceAll('127.0.0.1:8444', `127.0.0.1:${port}`),
    )
    for (const step of steps) {
      if (step.command.startsWith('kubectl -n shop run'))
        await until('the default service account', async () => {
          const { code } = await cluster.kubectl(['-n', 'shop', 'get', 'serviceaccount', 'default'])
          return code === 0
        })
      step.run()
      if (step.command.startsWith('kubectl -n shop run web --image'))
        await reportRunning(cluster, 'shop', 'web', `docker.io/nginxinc/nginx-unprivileged@sha256:${'3d'.repeat(32)}`)
    }
  })
})

describe('pod-security.kubernetes.io labels without the plugin', function () {
  this.timeout(180_000)
  let cluster: Cluster
  let installed: Installed
  before(async function () {
    this.timeout(30 * 60_000)
    cluster = await startCluster({ apiArgs: ['--disable-admission-plugins=PodSecurity'] })
    installed = await Installed.start(cluster, {
      config: 'podSecurityLabels: true\n',
      manifests: ['--pod-security-labels'],
    })
  })
  after(async () => {
    await installed?.stop()
    await cluster?.stop()
  })

  it('are honoured by Drawbridge: the same level, no injection', async () => {
    await openNamespace(cluster, 'shop', { [UPSTREAM]: 'baseline', 'pod-security.kubernetes.io/warn': 'restricted' })
    const create = (container: object) =>
      cluster.kubectl(['-n', 'shop', 'create', '--dry-run=server', '-o', 'yaml', '-f', '-'], pod('web', container))
    const denied = await create({ securityContext: { privileged: true } })
    assert.match(denied.stderr, /drawbridge\.dev" denied the request: drawbridge: pod "web" breaks profile baseline:/)
    const allowed = await create({})
    assert.equal(allowed.code, 0, allowed.stderr)
    assert.match(allowed.stderr, /^Warning: .*restricted/)
    assert.doesNotMatch(allowed.stdout, /seccompProfile/)
  })
})
