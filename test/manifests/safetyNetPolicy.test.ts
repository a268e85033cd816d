/** The safety net beside the judge: what the net denies, the webhook denies too; and what rule 21 names, the net denies. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { normalizedReference } from '../../manifests/imageExpressions.ts'
import { matchImage, parseImagePattern, patternExpression } from '../../src/kube/imagePattern.ts'
import { parseReference } from '../../src/kube/reference.ts'
import { safetyNetModel } from './safetyNetModel.ts'
import { compileCel } from './cel.ts'
import { anyImage, disagreement, netCases, NOW, requestOf, scenario, specOf, type Scenario } from './safetyNetCases.ts'

const RUNS = 3000

describe('the safety net beside the engine', function () {
  this.timeout(120_000)
  const models = new Map(
    (['namespaces', 'cluster'] as const).flatMap((scope) =>
      [false, true].map((podSecurityLabels) => [
        `${scope} ${podSecurityLabels}`,
        safetyNetModel({ scope, podSecurityLabels }),
      ]),
    ),
  )
  const modelOf = ({ scope, podSecurityEntries }: Scenario) => models.get(`${scope} ${podSecurityEntries}`)!

  it('reads an image as the engine does, in every spelling', () => {
    const read = compileCel(normalizedReference('image'))
    fc.assert(
      fc.property(anyImage, (image) => {
        const reference = parseReference(image)
        fc.pre(reference !== undefined)
        assert.equal(read({ image }), reference.normalized)
      }),
      { numRuns: 10_000 },
    )
  })

  it('matches the images of exceptions as the engine does', () => {
    const part = fc.constantFrom('web', 'we*', '*', '*b', 'w*b', 'a.b', 'aXb', 'web-a')
    const pattern = fc
      .tuple(
        fc.constantFrom('registry.example', 'docker.io', 'localhost:5000'),
        fc.array(part, { minLength: 1, maxLength: 2 }),
        fc.constantFrom(':1', ':*', ':1-*', ':v1.2', '', `@sha256:${'a'.repeat(64)}`),
      )
      .map(([registry, parts, end]) => `${registry}/${parts.join('/')}${end}`)
    const fitting = (text: string): string => text.replaceAll('*', 'b').replace(/we?b$/u, 'web:1')
    let matching = 0
    fc.assert(
      fc.property(pattern, anyImage, fc.boolean(), (text, other, isNear) => {
        const image = isNear ? fitting(text) : other
        const { pattern: parsed } = parseImagePattern(text)
        const reference = parseReference(image)
        fc.pre(parsed !== undefined && reference !== undefined)
        const expression = patternExpression(parsed)
        const found =
          expression !== undefined &&
          (expression.reference === undefined
            ? new RegExp(expression.expression, 'u').test(reference.normalized)
            : expression.reference === reference.normalized)
        matching += found ? 1 : 0
        assert.equal(found, matchImage(parsed, reference) === 'matches', `${text} ${image}`)
      }),
      { numRuns: 10_000 },
    )
    assert.ok(matching > 2000, `${matching} of them match`)
  })

  it('denies nothing that the webhook allows: pods, updates, profiles, exceptions, verdicts, labels', () => {
    const tally = { both: 0, webhook: 0, neither: 0 }
    fc.assert(
      fc.property(scenario, (one) => {
        const { net, webhook } = disagreement(one, modelOf(one))
        tally[net !== undefined ? 'both' : webhook ? 'webhook' : 'neither'] += 1
        assert.ok(net === undefined || webhook, net)
      }),
      { numRuns: RUNS },
    )
    // It says something only where both answers are frequent.
    assert.ok(tally.both > RUNS / 20 && tally.neither > RUNS / 20, JSON.stringify(tally))
  })

  it('ends what ends while nobody writes the parameters, a minute late and a minute early', () => {
    const [, privileged] = netCases.filter(({ name }) => name.startsWith('a privileged container'))
    const [flagged] = netCases.filter(({ name }) => name.startsWith('the flagged image'))
    const at = (one: Scenario, minutes: number): boolean =>
      modelOf(one)(requestOf(one, NOW + minutes * 60_000), one.labels, specOf(one)) !== undefined
    const pod = {
      ...privileged!.pod,
      metadata: { annotations: { 'drawbridge.dev/exception': 'legacy' } },
    }
    const expiresAt = new Date(NOW + 5 * 60_000).toISOString()
    const excepted = { ...privileged!, pod, grants: { legacy: { expiresAt } } }
    assert.deepEqual(
      [0, 5, 6].map((minutes) => at(excepted, minutes)),
      [false, false, true],
    )
    const ending = { ...flagged!, verdicts: flagged!.verdicts.map((one) => ({ ...one, expiresAt: NOW + 5 * 60_000 })) }
    assert.deepEqual(
      [0, 3, 4].map((minutes) => at(ending, minutes)),
      [true, true, false],
    )
  })

  it('ends for a pod that is changed what had ended when it was made', () => {
    const [added] = netCases.filter(
      ({ name }) => name.includes('ephemeral container that is added') && name.includes('flagged'),
    )
    const ending = (at: string): boolean => {
      const spec = specOf({ ...added!, verdicts: added!.verdicts.map((one) => ({ ...one, expiresAt: NOW + 600_000 })) })
      const request = requestOf(added!)
      const { metadata, ...old } = request.oldObject as { readonly metadata: object }
      const oldObject = { ...old, metadata: { ...metadata, creationTimestamp: at } }
      return modelOf(added!)({ ...request, oldObject }, added!.labels, spec) !== undefined
    }
    assert.deepEqual(['2026-11-22T06:00:00Z', '2026-11-22T06:18:00Z', '2026-11-22T06:19:00Z'].map(ending), [
      true,
      true,
      false,
    ])
  })

  it('says nothing of verdicts under an unknown name where not all profiles fit, or an older version wrote', () => {
    const [one] = netCases.filter(({ name }) => name.endsWith('set meanwhile, where verdicts hold everywhere'))
    const { profilesComplete: _before, ...spec } = specOf(one!)
    const held = [{ ...spec, profilesComplete: true }, { ...spec, profilesComplete: false }, spec].map(
      (given) => modelOf(one!)(requestOf(one!), one!.labels, given) !== undefined,
    )
    assert.deepEqual(held, [true, false, false])
  })

  for (const { name, denies, ...one } of netCases)
    it(`${denies === undefined ? 'passes' : 'denies'} ${name}`, () => {
      const { net, webhook } = disagreement(one, modelOf(one))
      if (denies === undefined) assert.equal(net, undefined)
      else {
        assert.match(net ?? '(passed)', denies)
        assert.ok(webhook, 'the webhook denies it too')
        assert.doesNotMatch(net ?? '', /\n/)
      }
    })
})
