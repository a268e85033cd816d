// Runs every check and test, streams their output, and ends with the plain line `N passed, N failed`.
// A check that is not a test runner (format, lint, compile) counts as one. Prints how long each step took.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Each step: what it is called, the command, and whether it is a mocha run whose own numbers count. */
const STEPS = [
  { name: 'format', command: 'npm run --silent format:check' },
  { name: 'compile', command: 'npm run --silent clean && npm run --silent compile' },
  { name: 'lint', command: 'npm run --silent lint' },
  { name: 'bundle', command: 'npm run --silent bundle' },
  { name: 'unit and API tests, with coverage', command: 'npm run --silent test:unit', mocha: true },
  { name: 'process tests (the bundled program)', command: 'npm run --silent test:process', mocha: true },
  { name: 'tests on a real API server', command: 'npm run --silent test:cluster', mocha: true },
]

/** Runs one command; resolves to its exit code and what it printed. */
function run(command) {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream.on('data', (chunk) => {
        output += chunk
        target.write(chunk)
      })
    }
    child.on('error', (error) => resolve({ code: 1, output: String(error) }))
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}

const count = (output, word) => Number(new RegExp(`^\\s+(\\d+) ${word}\\b`, 'm').exec(output)?.[1] ?? 0)

let passed = 0
let failed = 0
let skipped = 0
const times = []

for (const { name, command, mocha } of STEPS) {
  console.log(`\n== ${name}`)
  const started = performance.now()
  const { code, output } = await run(command)
  times.push({ name, seconds: (performance.now() - started) / 1000, code })
  if (mocha) {
    const failing = count(output, 'failing')
    passed += count(output, 'passing')
    skipped += count(output, 'pending')
    // A runner that died without counting anything has failed once.
    failed += code !== 0 && failing === 0 ? 1 : failing
  } else if (code === 0) passed++
  else failed++
  // Nothing after a failed compile would test this tree.
  if (code !== 0 && name === 'compile') break
}

console.log('\n== how long it took')
for (const { name, seconds, code } of times)
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${code === 0 ? 'ok    ' : 'FAILED'}  ${name}`)
if (skipped > 0 && process.env.CI === 'true') {
  console.log(`\n${skipped} tests were skipped; in CI every test must run`)
  failed += skipped
  skipped = 0
}
if (skipped > 0) console.log(`\n${skipped} tests were skipped: they say above how to run them`)
if (!existsSync('dist/bundle/drawbridge.js')) failed = Math.max(failed, 1)
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
