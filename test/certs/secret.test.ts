import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { createAuthority, issueLeaf } from '../../certs/authority.ts'
import { describeGeneration } from '../../certs/generation.ts'
import type { Material } from '../../certs/generation.ts'
import { createKeeper } from '../../certs/keeper.ts'
import { serviceNames } from '../../certs/names.ts'
import { certificatesIn, namesOf } from '../../certs/pem.ts'
import { decodeSecret, encodeSecret, SECRET_KEYS } from '../../certs/secret.ts'
import type { Shared } from '../../certs/rotation.ts'
import { readCertificateSecret } from '../../src/adapters/kubernetes/certificateSecret.ts'
import { readCaBundles } from '../../src/adapters/kubernetes/caBundles.ts'

const DAY = 86_400_000
const NOW = Date.parse('2026-11-22T12:00:00Z')
const NAMES = ['drawbridge.drawbridge.svc', '127.0.0.1']

describe('the Secret of certificates', function () {
  this.timeout(60_000)
  let first: Material
  let second: Material
  before(async () => {
    const make = async (): Promise<Material> => {
      const authority = await createAuthority(NOW)
      return { authority, leaf: await issueLeaf(authority, NAMES, NOW) }
    }
    first = await make()
    second = await make()
  })

  const read = (data: Readonly<Record<string, string>>) => decodeSecret(new Map(Object.entries(data)))
  const canonical = (material: Material): string => certificatesIn(material.authority.certificate)[0]!

  it('comes back as it was written, with and without a rotation under way', () => {
    for (const shared of [
      { current: first, previous: [] },
      { current: first, next: second, previous: [] },
      { current: first, previous: [canonical(second)] },
    ]) {
      const data = encodeSecret(shared)
      assert.deepEqual(read(data), shared)
      assert.equal(certificatesIn(data['ca.crt'] ?? '').length, shared.previous.length + ('next' in shared ? 2 : 1))
    }
  })

  it('says what is missing', () => {
    const data = encodeSecret({ current: first, next: second, previous: [] })
    assert.equal(read({}), undefined)
    assert.equal(read({ 'someone-elses': 'x' }), undefined)
    for (const key of ['authority.crt', 'authority.key', 'tls.crt', 'tls.key'])
      assert.deepEqual(read({ ...data, [key]: '' }), { damage: `it has no ${key}` })
    assert.deepEqual(read({ ...data, 'tls.key': 'x'.repeat(65_537) }), { damage: 'its tls.key is too long' })
    // Half of a next generation is none; its authority stays trusted.
    assert.deepEqual(read({ ...data, 'next-tls.key': '' }), { current: first, previous: [canonical(second)] })
  })

  it('never makes anything of what is not a certificate, and never fails', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.constantFrom(...SECRET_KEYS, '__proto__'),
          fc.oneof(fc.string(), fc.base64String(), fc.anything()),
        ),
        async (data) => {
          const client = {
            request: async () => Promise.resolve({ metadata: { resourceVersion: '1' }, data }),
          }
          const { content } = await readCertificateSecret({ client, namespace: 'n', name: 'x' })
          if (content === undefined || 'damage' in content) return
          assert.equal(describeGeneration(content.current, NAMES).authorityDamage, 'is no certificate')
        },
      ),
      { numRuns: 200 },
    )
    for (const caBundle of ['', 'rubbish', 7, null, Buffer.from('\ud800').toString('base64')]) {
      const client = {
        request: async () =>
          Promise.resolve({
            metadata: { resourceVersion: '1' },
            webhooks: [{ name: 'a', clientConfig: { caBundle } }],
          }),
      }
      assert.deepEqual((await readCaBundles(client)).bundles, [[], []])
    }
  })

  for (const [what, change, authorityDamage, leafDamage] of [
    ['all is well', {}, undefined, undefined],
    ['the authority is rubbish', { authority: { certificate: 'rubbish', key: 'x' } }, 'is no certificate', 'its leaf'],
    ['the leaf is rubbish', { leaf: { certificate: 'rubbish', key: 'x' } }, undefined, 'it is no certificate'],
    ['the leaf has no key', { leaf: 'keyless' }, undefined, 'it has a damaged key'],
    ['the leaf has the key of another', { leaf: 'swapped' }, undefined, 'it has the key of another certificate'],
    ['the authority has the key of another', { authority: 'swapped' }, 'has the key of another certificate', undefined],
    ['the leaf is of another authority', { leaf: 'other' }, undefined, 'it is not signed by its authority'],
    [
      'the authority is a leaf',
      { authority: 'leaf' },
      'is not one of an authority',
      'it is not signed by its authority',
    ],
  ] as const) {
    it(`knows when ${what}`, () => {
      const authority =
        'authority' in change
          ? change.authority === 'swapped'
            ? { ...first.authority, key: second.authority.key }
            : change.authority === 'leaf'
              ? first.leaf
              : change.authority
          : first.authority
      const leaf =
        'leaf' in change
          ? change.leaf === 'keyless'
            ? { ...first.leaf, key: 'x' }
            : change.leaf === 'swapped'
              ? { ...first.leaf, key: second.leaf.key }
              : change.leaf === 'other'
                ? second.leaf
                : change.leaf
          : first.leaf
      const found = describeGeneration({ authority, leaf }, NAMES)
      assert.equal(found.authorityDamage, authorityDamage)
      if (leafDamage !== 'its leaf') assert.equal(found.leafDamage, leafDamage)
    })
  }

  it('knows a name that is not covered', () => {
    assert.equal(
      describeGeneration(first, [...NAMES, 'other.example']).leafDamage,
      'it does not cover the name other.example',
    )
    assert.deepEqual(namesOf(first.leaf.certificate), NAMES)
  })

  it('covers the names of Services, the same for every replica', () => {
    assert.deepEqual(serviceNames(['drawbridge'], 'security', ['10.0.0.5']), [
      'drawbridge',
      'drawbridge.security',
      'drawbridge.security.svc',
      'drawbridge.security.svc.cluster.local',
      'localhost',
      '127.0.0.1',
      '10.0.0.5',
    ])
  })

  it('is renewed with real certificates when the clock is far ahead', async () => {
    const clock = { now: NOW, tick: 0 }
    let stored: Shared<Material> | undefined
    let live: readonly string[] = []
    const steps: string[] = []
    const keeper = createKeeper({
      readStored: () =>
        Promise.resolve({ content: stored, replace: (content) => Promise.resolve(((stored = content), true)) }),
      readBundles: () =>
        Promise.resolve({
          bundles: [live],
          version: live.join(),
          replace: (bundle) => Promise.resolve(((live = bundle), true)),
        }),
      managesBundles: true,
      createAuthority,
      issueLeaf,
      describe: (material) => describeGeneration(material, NAMES),
      names: NAMES,
      now: () => clock.now,
      tick: () => clock.tick,
      propagation: 60,
      keepPrevious: 600,
      bundleWriteInterval: 5,
      serve: () => Promise.resolve(),
      onStep: (step) => steps.push(step.kind),
      onProblem: (problem) => assert.fail(problem),
    })
    const expected: string[] = []
    for (const [days, made] of [
      [0, ['create']],
      [300, ['renew']],
      [7 * 365, ['renew', 'stage']],
      [7 * 365, ['promote']],
      [7 * 365, []],
      [40 * 365, ['replace']],
    ] as const) {
      clock.now = NOW + days * DAY
      clock.tick += 100
      const status = await keeper.round()
      await keeper.round()
      expected.push(...made)
      assert.deepEqual(steps, expected, `after ${days} days`)
      assert.ok((status?.serving.leafValidity.to ?? 0) > clock.now)
      assert.ok(live.includes(status?.serving.authority ?? ''), `after ${days} days`)
    }
  })

  it('is not written where something else keeps the certificates: half a change is not taken, another authority when it is trusted', async () => {
    const keyless = ({ authority, leaf }: Material): Material => ({
      authority: { certificate: authority.certificate },
      leaf,
    })
    let stored: Material = keyless(first)
    let live: readonly string[] = ['somebody else']
    const served: string[] = []
    const problems: string[] = []
    const clock = { tick: 0 }
    const keeperOf = (managesBundles: boolean) =>
      createKeeper({
        readStored: () => Promise.resolve({ content: { current: stored, previous: [] } }),
        readBundles: () =>
          Promise.resolve({
            bundles: [live],
            version: live.join(),
            replace: (bundle) => Promise.resolve(((live = bundle), true)),
          }),
        managesBundles,
        createAuthority,
        issueLeaf,
        describe: (material) => describeGeneration(material, []),
        names: [],
        now: () => NOW,
        tick: () => clock.tick,
        propagation: 60,
        keepPrevious: 600,
        bundleWriteInterval: 5,
        serve({ material: { leaf } }) {
          // Told again when only what clients should trust has changed.
          if (served.at(-1) !== leaf.certificate) served.push(leaf.certificate)
          return Promise.resolve()
        },
        onProblem: (problem) => problems.push(problem),
      })
    const keeper = keeperOf(true)
    await keeper.round()
    assert.deepEqual(served, [first.leaf.certificate])
    assert.deepEqual(live, [canonical(first), 'somebody else'])
    stored = { ...keyless(second), leaf: { certificate: second.leaf.certificate, key: first.leaf.key } }
    await keeper.round()
    assert.deepEqual(problems, ['the certificate cannot be used: it has the key of another certificate'])
    stored = keyless(second)
    clock.tick += 10
    await keeper.round()
    assert.deepEqual(live, [canonical(second), canonical(first), 'somebody else'])
    clock.tick += 10
    await keeper.round()
    assert.equal(served.length, 1)
    clock.tick += 60
    await keeper.round()
    assert.deepEqual(served, [first.leaf.certificate, second.leaf.certificate])
    // A pair that does not fit is not what a server starts with.
    stored = { ...stored, leaf: { ...second.leaf, key: first.leaf.key } }
    await assert.rejects(() => keeperOf(false).round(), {
      message: 'the certificate cannot be used: it has the key of another certificate',
    })
  })
})
