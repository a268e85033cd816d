/**
 * Runs the upstream Pod Security suite (k8s.io/pod-security-admission/test) through Drawbridge: a real API server with the in-tree plugin switched off,
 * the bundled program with `podSecurityLabels: true`, and the webhook configurations that `drawbridge manifests` prints.
 * Ends with `N passed, N failed`; the exit code is 0 only when all 687 passed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { startCluster, waitForCrds } from '../cluster/harness.ts'
import { cli, root, RunningProgram, temporaryFolder } from '../process/server.ts'

/** Every pass and fail fixture of every check, level and version, as of k8s.io/pod-security-admission v0.35. */
const EXPECTED = 687

const source = join(root, 'test/conformance')

/** Compiles the suite once for each version of its sources; a Go build of client-go takes minutes. */
function compiledSuite(): string {
  const sum = createHash('sha256')
  for (const file of ['go.mod', 'go.sum', 'conformance_test.go']) sum.update(readFileSync(join(source, file)))
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'drawbridge')
  const binary = join(cache, `pod-security-conformance-${sum.digest('hex').slice(0, 16)}`)
  if (existsSync(binary)) return binary
  mkdirSync(cache, { recursive: true })
  console.log('compiling the upstream suite from its Go modules; once, 2 to 5 minutes ...')
  const build = spawnSync('go', ['test', '-c', '-mod=mod', '-o', binary, '.'], {
    cwd: source,
    stdio: 'inherit',
    env: { ...process.env, CGO_ENABLED: '0' },
  })
  if (build.error !== undefined) throw new Error(`Go is needed to compile the suite: ${build.error.message}`)
  if (build.status !== 0) throw new Error('the suite did not compile')
  return binary
}

/** Runs the suite; prints failures as they come, and a line of progress now and then. */
async function runSuite(
  binary: string,
  kubeconfig: string,
): Promise<{ readonly passed: number; readonly failed: number }> {
  const child = spawn(binary, ['-test.v', '-test.timeout=20m'], {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let passed = 0
  let failed = 0
  let rest = ''
  child.stdout.on('data', (chunk) => {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (/^ *--- PASS: /.test(line)) passed++
      else if (/^ *--- FAIL: /.test(line)) failed++
      else if (!/expected|unexpected|failed/.test(line)) continue
      if (!/--- PASS/.test(line)) console.log(line.slice(0, 600))
    }
  })
  const progress = setInterval(() => console.log('the suite is running ...'), 30_000)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearInterval(progress)
  if (code !== 0 && failed === 0) failed = 1
  return { passed, failed }
}

async function main(): Promise<number> {
  const binary = compiledSuite()
  const folder = temporaryFolder()
  const configFile = join(folder.path, 'drawbridge.yaml')
  writeFileSync(configFile, 'podSecurityLabels: true\nlog: {level: error}\ndrain: 0s\n')
  console.log('starting a real API server without the PodSecurity plugin ...')
  const cluster = await startCluster({ apiArgs: ['--disable-admission-plugins=PodSecurity'] })
  let program: RunningProgram | undefined
  try {
    // Drawbridge needs its own kind of object before it can start.
    await cluster.must(['apply', '-f', join(root, 'manifests/crds')])
    await waitForCrds(cluster)
    program = await RunningProgram.start(folder.path, ['--config', configFile], ['--kubeconfig', cluster.kubeconfig])
    const manifests = cli([
      'manifests',
      '--url',
      program.file.webhook,
      '--ca',
      program.file.ca,
      '--pod-security-labels',
    ])
    if (manifests.code !== 0) throw new Error(manifests.err)
    await cluster.must(['apply', '-f', '-'], manifests.out)
    const { passed, failed } = await runSuite(binary, cluster.kubeconfig)
    const missing = Math.max(0, EXPECTED - passed - failed)
    if (missing > 0) console.log(`${missing} of the ${EXPECTED} tests did not run`)
    console.log(`\n${passed} passed, ${failed + missing} failed`)
    return failed + missing === 0 ? 0 : 1
  } finally {
    await program?.kill()
    await cluster.stop()
    folder.remove()
  }
}

process.exit(await main())
