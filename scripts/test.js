// Runs every check and test, prints their output, and ends with the plain line `N passed, N failed`.
// A check that is not a test runner (format, lint, compile) counts as one. Prints how long each step took.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'

// Runners colour their output where the environment asks for it.
const number = (output, pattern) => Number(pattern.exec(stripVTControlCharacters(output))?.[1] ?? 0)

/** What a mocha run says at its end. */
const mochaCounts = (output) => ({
  passed: number(output, /^\s+(\d+) passing\b/m),
  failed: number(output, /^\s+(\d+) failing\b/m),
  skipped: number(output, /^\s+(\d+) pending\b/m),
})

/** What a run says that ends with `N passed, N failed` itself. */
const plainCounts = (output) => ({
  passed: number(output, /^(\d+) passed, \d+ failed$/m),
  failed: number(output, /^\d+ passed, (\d+) failed$/m),
  skipped: 0,
})

/** Each step: what it is called, the command, and how to read its own numbers where it has some. */
const STEPS = [
  { name: 'format', command: 'npm run --silent format:check' },
  { name: 'compile', command: 'npm run --silent clean && npm run --silent compile' },
  { name: 'lint', command: 'npm run --silent lint' },
  { name: 'bundle', command: 'npm run --silent bundle' },
  { name: 'programs for the tests (built once)', command: 'node dist/test/cluster/prepare.js' },
  // Alone: beside other steps nothing that is measured says anything.
  { name: 'speed against a bare server', command: 'node dist/test/bench/smoke.js', counts: plainCounts },
]

const cluster = 'npm run --silent test:cluster'
/** On a cluster that was given there is one of everything: its tests must not run beside each other. */
const CLUSTER_STEPS =
  process.env.DRAWBRIDGE_TEST_CLUSTER === 'yes'
    ? [{ name: 'tests on the given cluster', command: cluster, counts: mochaCounts }]
    : [1, 2].map((part) => ({
        name: `tests on a real API server, part ${part} of 2`,
        command: `CLUSTER_TESTS=${part}/2 ${cluster}`,
        counts: mochaCounts,
      }))

/** Steps that mostly wait and do not touch what another one uses: two at a time, the long ones first. */
const PARALLEL_STEPS = [
  ...CLUSTER_STEPS,
  { name: 'tests on a real node', command: 'npm run --silent test:e2e', counts: mochaCounts },
  { name: 'unit and API tests, with coverage', command: 'npm run --silent test:unit', counts: mochaCounts },
  { name: 'process tests (the bundled program)', command: 'npm run --silent test:process', counts: mochaCounts },
  { name: 'the upstream Pod Security suite', command: 'node dist/test/conformance/run.js', counts: plainCounts },
]
const LANES = 2
const PROGRESS_MILLISECONDS = 30_000

/** Runs one command; resolves to its exit code and what it printed. `quiet`: printed by the caller. */
function run(command, quiet) {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream.on('data', (chunk) => {
        output += chunk
        if (!quiet) target.write(chunk)
      })
    }
    child.on('error', (error) => resolve({ code: 1, output: String(error) }))
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

let passed = 0
let failed = 0
let skipped = 0
const times = []
const failures = []

const FAILURE_LINES = 40
/** What to say of a failed step once more at the end: what mocha lists behind `N failing`, else the last lines. */
function failureOf(output) {
  const text = stripVTControlCharacters(output)
  const listed = text.search(/^\s+\d+ failing$/m)
  const lines = (listed < 0 ? text : text.slice(listed)).trim().split('\n')
  return (listed < 0 ? lines.slice(-FAILURE_LINES) : lines.slice(0, FAILURE_LINES)).join('\n')
}

/** Runs a step and counts its result. */
async function take({ name, command, counts }, quiet) {
  const started = performance.now()
  const { code, output } = await run(command, quiet)
  times.push({ name, seconds: (performance.now() - started) / 1000, code })
  if (code !== 0) failures.push(`\n== FAILED: ${name}\n${failureOf(output)}`)
  const numbers = counts === undefined ? undefined : counts(output)
  if (numbers === undefined) {
    if (code === 0) passed++
    else failed++
  } else {
    passed += numbers.passed
    skipped += numbers.skipped
    // A runner that died without counting a failure has failed once.
    failed += code !== 0 && numbers.failed === 0 ? 1 : numbers.failed
  }
  return { code, output }
}

/** Runs steps side by side; each one's output is printed whole when it ends. */
async function sideBySide(steps) {
  const waiting = [...steps]
  const running = new Map()
  const progress = setInterval(() => {
    const texts = [...running].map(([name, since]) => `${name} (${Math.round((performance.now() - since) / 1000)} s)`)
    console.log(`.. running: ${texts.join(', ')}; ${waiting.length} to come`)
  }, PROGRESS_MILLISECONDS)
  const lane = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      running.set(step.name, performance.now())
      const { output } = await take(step, true)
      running.delete(step.name)
      console.log(`\n== ${step.name}\n${output}`)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  clearInterval(progress)
}

let usable = true
for (const step of STEPS) {
  console.log(`\n== ${step.name}`)
  const { code } = await take(step, false)
  // Nothing after a failed compile would test this tree.
  usable &&= code === 0 || step.name !== 'compile'
  if (!usable) break
}
if (usable) await sideBySide(PARALLEL_STEPS)

console.log('\n== how long it took')
for (const { name, seconds, code } of times)
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${code === 0 ? 'ok    ' : 'FAILED'}  ${name}`)
// Last of all, where whoever sees only the end of a long log finds it.
for (const failure of failures) console.log(failure)
if (skipped > 0 && process.env.CI === 'true') {
  console.log(`\n${skipped} tests were skipped; in CI every test must run`)
  failed += skipped
  skipped = 0
}
if (skipped > 0) console.log(`\n${skipped} tests were skipped: they say above how to run them`)
if (!existsSync('dist/bundle/drawbridge.js')) failed = Math.max(failed, 1)
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
