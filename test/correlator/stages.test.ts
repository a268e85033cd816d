/** Classification, attribution and score together: what agreement and overrides do to an image. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { falco } from '../../src/alerts/sources/falco.ts'
import { compileOverrides, type RuleOverrideEntry } from '../../src/alerts/overrides.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import { replay, type ReplayReport } from '../../src/correlator/replay.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { peakScore } from '../../src/verdicts/score.ts'
import { alert, container, directoryOf, NOW, parseReference } from './support.ts'

const OTHER_ID = 'beef'.repeat(16)
const records = [container(), container({ containerId: OTHER_ID, pod: 'api-1', owner: 'shop/Deployment/api' })] as const

async function correlated(
  alerts: readonly Partial<RuntimeAlert>[],
  entries: readonly RuleOverrideEntry[] = [],
  known: readonly ReturnType<typeof container>[] = records,
): Promise<{ readonly score: number; readonly decisions: readonly string[] }> {
  const correlator = createCorrelator({
    store: createMemoryStore(),
    directory: directoryOf(...known),
    clock: () => NOW,
    parseReference,
    rules: { conditional: compileOverrides(entries).overrides },
  })
  await correlator.start()
  const outcomes = await correlator.handle(alerts.map((changes) => alert(changes)))
  const [verdict] = correlator.list()
  await correlator.stop()
  return {
    score: peakScore(Object.values(verdict?.contributions ?? {})).score,
    decisions: outcomes.map(({ decision }) => decision),
  }
}

describe('two detectors', () => {
  const drop: Partial<RuntimeAlert> = { rule: 'Drop and execute new binary in container' }
  const dropped: Partial<RuntimeAlert> = { detector: 'tracee', source: 'tracee', rule: 'dropped_executable' }
  const elsewhere: Partial<RuntimeAlert> = { containerId: OTHER_ID, pod: 'api-1' }
  for (const [what, alerts, score] of [
    ['Falco alone', [drop], 100],
    ['Tracee alone', [dropped], 60],
    ['both about one owner: a quarter more', [drop, dropped], 187.5],
    ['both about two owners: no agreement', [drop, { ...dropped, ...elsewhere }], 150],
    ['Falco directly and through Falcosidekick: one detector', [drop, { ...drop, source: 'falcosidekick' }], 100],
    [
      'both about one reverse shell',
      [
        { rule: 'Redirect STDOUT/STDIN to Network Connection in Container' },
        { detector: 'tracee', rule: 'stdio_over_socket' },
      ],
      187.5,
    ],
    ['an event name of Tracee in an alert of Falco', [{ rule: 'dropped_executable' }], 0],
  ] as const satisfies readonly (readonly [string, readonly Partial<RuntimeAlert>[], number])[]) {
    it(`score ${score}: ${what}`, async () => assert.equal((await correlated(alerts)).score, score))
  }
})

describe('overrides by namespace and image', () => {
  const rules = ['Drop and execute new binary in container']
  it('go by what the cluster says of the container', async () => {
    const inShop = [{ match: { rules, namespaces: ['shop'] }, weight: 60 }]
    assert.equal((await correlated([{ namespace: undefined, pod: undefined }], inShop)).score, 60)
    const byImage = [{ match: { rules, images: ['registry.example/shop/*'] }, weight: 0 }]
    assert.deepEqual(await correlated([{ image: 'registry.example/other/tool:1' }], byImage), {
      score: 0,
      decisions: ['no-weight'],
    })
  })

  it('do not go by what the alert says of itself', async () => {
    const entries = [
      { match: { rules, namespaces: ['ci'] }, weight: 0 },
      { match: { rules, images: ['docker.io/library/*'] }, weight: 0 },
    ]
    const claims = { image: 'docker.io/library/golang:1', namespace: undefined, pod: undefined }
    assert.equal((await correlated([claims], entries)).score, 100)
    assert.deepEqual((await correlated([{ namespace: 'ci' }], entries)).decisions, ['unattributed'])
  })

  it('make an alert wait for its container that would weigh nothing elsewhere', async () => {
    const shell = { rule: 'Terminal shell in container' }
    const entries = [{ match: { namespaces: ['payments'] }, weight: 100 }]
    assert.deepEqual((await correlated([shell], entries, [])).decisions, ['parked'])
    assert.deepEqual((await correlated([shell], [], [])).decisions, ['no-weight'])
    assert.deepEqual((await correlated([shell], entries)).decisions, ['no-weight'])
  })
})

describe('replay, whatever the capture', function () {
  this.timeout(20_000)
  /** A correlator reserves its caches at once: some milliseconds each. */
  const RUNS = { numRuns: 15 }
  const STEPS = 6500
  /** Within 20 h, and more than the 10 s apart below which the ledger takes two times for one. */
  const event = fc.record({
    rule: fc.constantFrom(
      'Drop and execute new binary in container',
      'PTRACE attached to process',
      'PTRACE anti-debug attempt',
      'Netcat Remote Code Execution in Container',
      'Read sensitive file untrusted',
      'Terminal shell in container',
    ),
    seconds: fc.nat(STEPS).map((step) => step * 11),
    pod: fc.constantFrom('a', 'b', 'c'),
    tag: fc.constantFrom('1', '2'),
  })
  const lineOf = ({ rule, seconds, pod, tag }: { rule: string; seconds: number; pod: string; tag: string }): string =>
    JSON.stringify({
      rule,
      time: new Date(NOW + seconds * 1000).toISOString(),
      output_fields: {
        // A container runs one image.
        'container.id': `${pod}${tag}`.repeat(6),
        'container.image.repository': 'registry.example/shop/web',
        'container.image.tag': tag,
        'k8s.ns.name': 'shop',
        'k8s.pod.name': pod,
      },
    })
  const play = async (lines: readonly string[], explain = false): Promise<ReplayReport> =>
    replay(lines.join('\n'), falco.decode, { parseReference, explain })
  const verdicts = ({ images }: ReplayReport): readonly unknown[] =>
    images.map(({ image, score, phase }) => ({ image, score, phase }))
  const capture = fc.array(event, { minLength: 1, maxLength: 12 }).map((events) => events.map(lineOf))

  it('gives the same scores and phases in every order, and with every line twice', async () => {
    await fc.assert(
      fc.asyncProperty(
        capture.chain((lines) =>
          fc.tuple(fc.constant(lines), fc.shuffledSubarray([...lines, ...lines], { minLength: lines.length * 2 })),
        ),
        async ([lines, shuffled]) => assert.deepEqual(verdicts(await play(shuffled)), verdicts(await play(lines))),
      ),
      RUNS,
    )
  })

  it('never lowers a score for one alert more', async () => {
    await fc.assert(
      fc.asyncProperty(capture, event, async (lines, more) => {
        const before = new Map((await play(lines)).images.map(({ image, score }) => [image, score]))
        const after = new Map((await play([...lines, lineOf(more)])).images.map(({ image, score }) => [image, score]))
        for (const [image, score] of before) assert.ok((after.get(image) ?? -1) >= score, image)
      }),
      RUNS,
    )
  })

  it('keeps every class of one detector within 1.5 times its weight', async () => {
    await fc.assert(
      fc.asyncProperty(capture, async (lines) => {
        for (const { score, explanation } of (await play(lines, true)).images) {
          // A class that added nothing when it came may add something to a peak that an older alert makes later.
          const items = [...(explanation?.counted ?? []), ...(explanation?.notCounted ?? [])]
          const weights = new Map(items.map((item) => [item.class, item.weight]))
          const bound = [...weights.values()].reduce((sum, weight) => sum + 1.5 * weight, 0)
          assert.ok(score <= bound, `${score} of ${bound}`)
        }
      }),
      RUNS,
    )
  })

  it('explains the whole score, each threshold once, and every alert', async () => {
    await fc.assert(
      fc.asyncProperty(capture, async (lines) => {
        const { images, decoded, withoutImage } = await play(lines, true)
        let alerts = 0
        for (const { score, phase, explanation } of images) {
          assert.ok(explanation !== undefined)
          const added = explanation.counted.reduce((sum, item) => sum + item.added, 0)
          assert.ok(Math.abs(added - score) < 0.2, `${added} of ${score}`)
          const crossed = explanation.counted.flatMap((item) => item.crossed)
          const expected = { observing: [], warning: ['warnAt'], denying: ['warnAt', 'denyAt'] }
          assert.deepEqual(crossed, expected[phase as keyof typeof expected])
          alerts += explanation.counted.length + explanation.notCounted.reduce((sum, { count }) => sum + count, 0)
        }
        assert.equal(alerts, decoded)
        assert.deepEqual(withoutImage, { counted: [], notCounted: [], unlisted: 0 })
      }),
      RUNS,
    )
  })
})
