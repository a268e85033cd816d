/**
 * `make bench-smoke`: whether a change has made Drawbridge slow. Ratios only, since machines differ and are busy; under a minute. A ratio that reaches less
 * than 0.7 of its goal is measured again (which may take longer than the minute), longer and with servers started anew, and fails if it does so three times.
 */
import { growth, decider } from './compute.ts'
import { measureWork, startPair, warmUp, workFigures, WORKS } from './endpoint.ts'
import { describeGoal, describeLimit, describeValue, failing } from './judge.ts'
import type { Figure } from './types.ts'

const PART = 0.7
/** A slow change is slow each time and after each start, a neighbour's burst is not, and a start that happens to be a slow one is followed by others. */
const TRIES = 3
/** Less than for the table: there is a minute for all. */
const WARM_MILLISECONDS = 15_000

interface Probe {
  readonly name: string
  /** `effort` 1, or more when it is tried again. */
  readonly measure: (effort: number) => Promise<readonly Figure[]>
}

let pair = await startPair()
const probes: readonly Probe[] = [
  {
    name: 'growth with containers',
    measure: (effort) => Promise.resolve([growth(decider(1000), Math.round(8 * effort))]),
  },
  ...WORKS.map((work): Probe => ({
    name: work.what,
    measure: async (effort) =>
      workFigures(work, [await measureWork(pair, work, { rounds: Math.round(10 * effort), milliseconds: 100 })]),
  })),
]

/** Servers that were started anew, and warm as the first ones. */
async function startAnew(): Promise<void> {
  const next = await startPair()
  await pair.stop()
  pair = next
  await warmUp(pair, WARM_MILLISECONDS)
}

let passed = 0
let failed = 0
try {
  await warmUp(pair, WARM_MILLISECONDS)
  for (const { name, measure } of probes) {
    let figures = await measure(1)
    for (let tries = 1; tries < TRIES && failing(figures, PART).length > 0; tries++) {
      console.log(
        `${name}: ${failing(figures, PART)
          .map(({ what, value }) => `${what} ${describeValue(value)}`)
          .join(', ')}; once more, with other servers, longer`,
      )
      await startAnew()
      figures = await measure(2.5)
    }
    const slow = new Set(failing(figures, PART))
    for (const figure of figures) {
      if (figure.goal === undefined) continue
      if (slow.has(figure)) failed++
      else passed++
      console.log(
        `${slow.has(figure) ? 'FAILED' : 'ok    '}  ${figure.what}: ${describeValue(figure.value)} (must be ${describeLimit(figure, PART)}; goal ${describeGoal(figure)})`,
      )
    }
  }
} finally {
  await pair.stop()
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
