/** Stories of rule 18: where a verdict holds, and which wait for a person. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import type { Correlator, CorrelatorOptions, ReachSettings } from '../../src/correlator/api.ts'
import { createCorrelator } from '../../src/correlator/correlator.ts'
import type { ContainerRecord } from '../../src/correlator/types.ts'
import { createVerdictIndex, findFlagged } from '../../src/verdicts/index.ts'
import { createMemoryStore } from '../../src/verdicts/memoryStore.ts'
import { reasonCode } from '../../src/verdicts/phase.ts'
import type { ImageVerdict, VerdictStore } from '../../src/verdicts/types.ts'
import { alert, container, DIGEST_A, directoryOf, HOUR, NOW, parseReference, type FakeDirectory } from './support.ts'

const IMAGE = 'registry.example/shop/web:1.4.2'
const NAME = `sha256-${'a'.repeat(64)}`
const PTRACE = 'PTRACE attached to process'
const FILELESS = 'Fileless execution via memfd_create'
const SETTINGS: ReachSettings = {
  mode: 'auto',
  protected: { images: [], namespaces: ['kube-system'] },
  budget: { perNamespace: 2, perCluster: 10 },
}

interface Rig extends Correlator {
  now: number
  readonly directory: FakeDirectory
  readonly store: VerdictStore
  readonly events: readonly string[]
}

async function rig(
  records: readonly ContainerRecord[],
  settings: Partial<ReachSettings> = {},
  options: Partial<CorrelatorOptions> = {},
): Promise<Rig> {
  const state = { now: NOW }
  const directory = directoryOf(...records)
  const store = options.store ?? createMemoryStore()
  const events: string[] = []
  const correlator = createCorrelator({
    parseReference,
    clock: () => state.now,
    directory,
    reach: { ...SETTINGS, ...settings },
    ...options,
    store,
    observe: {
      phaseChanged: (verdict, from) => void events.push(`${from} -> ${verdict.phase}: ${reasonCode(verdict)}`),
      expiresSoon: ({ name }) => void events.push(`expires soon: ${name.slice(0, 10)}`),
      nameJoined: (verdict, reference) => void events.push(`${verdict.name.slice(0, 10)} joined by ${reference}`),
    },
  })
  await correlator.start()
  return Object.assign(state, correlator, { directory, store, events })
}

let ids = 0

/** A container of an owner workload, `shop/Deployment/web` or the like. */
function runs(owner: string, changes: Partial<ContainerRecord> = {}): ContainerRecord {
  const [namespace = '', , name = ''] = owner.split('/')
  const containerId = (0x1000000 + ids++).toString(16).padStart(12, 'c').padEnd(64, '0')
  return container({ owner, namespace, pod: `${name}-1`, podUid: `uid-${ids}`, containerId, ...changes })
}

/** An alert about this container: a drop, which denies by itself, unless told otherwise. */
const about = (record: ContainerRecord, changes: Partial<RuntimeAlert> = {}): RuntimeAlert =>
  alert({ containerId: record.containerId, namespace: record.namespace, pod: record.pod, ...changes })

/** What a deployment of the image is told in each namespace. */
function answers(it: Rig, namespaces: readonly string[], image = IMAGE): readonly (string | undefined)[] {
  const flagged = findFlagged(createVerdictIndex(it.list()), parseReference, () => it.now)
  return namespaces.map((namespace) => flagged(image, namespace)?.phase)
}

const ALL = ['shop', 'evil', 'blog', 'new']

describe('correlator: reach', () => {
  it('does not let a tenant take another down by running its image with a command of its own', async () => {
    const shop = runs('shop/Deployment/web')
    for (const change of [{ overridesCommand: true }, { kind: 'ephemeral' }] as const) {
      const evil = runs('evil/Deployment/fake', change)
      const it = await rig([shop, evil])
      const [outcome] = await it.handle([about(evil)])
      assert.deepEqual([outcome?.decision, outcome?.phase, outcome?.crossed], ['contributed', 'denying', true])
      assert.deepEqual(answers(it, ALL), [undefined, 'denying', undefined, undefined])
      assert.deepEqual(it.get(NAME)?.reach, { elsewhere: 'none', denying: ['evil'], warning: [] })
      assert.equal(
        it.get(NAME)?.reason,
        'deny-threshold: score 100.0 reached 100 (drop), in the namespace of the evidence only',
      )
      // The same act where the image runs as it was built counts for everybody.
      await it.handle([about(shop)])
      assert.deepEqual(answers(it, ALL), ['denying', 'denying', 'denying', 'denying'])
    }
  })

  it('adds what counts for one namespace to what counts for all', async () => {
    const shop = runs('shop/Deployment/web')
    const evil = runs('evil/Deployment/fake', { overridesCommand: true })
    const it = await rig([shop, evil])
    await it.handle([about(shop, { rule: PTRACE })])
    assert.deepEqual(answers(it, ALL), ['warning', 'warning', 'warning', 'warning'])
    await it.handle([about(evil, { rule: 'Execution from /dev/shm' })])
    assert.deepEqual(answers(it, ALL), ['warning', 'denying', 'warning', 'warning'])
  })

  it('tells nobody else of evidence that counts for one namespace', async () => {
    const shop = runs('shop/Deployment/web')
    const evil = runs('evil/Deployment/fake', { overridesCommand: true })
    const it = await rig([shop, evil])
    await it.handle([about(evil), about(shop, { rule: PTRACE })])
    const flagged = findFlagged(createVerdictIndex(it.list()), parseReference, () => it.now)
    assert.match(
      flagged(IMAGE, 'evil')?.text ?? '',
      /is denied: falco reported "Drop and execute .* in pod evil\/fake-1/,
    )
    assert.match(
      flagged(IMAGE, 'blog')?.text ?? '',
      /is under suspicion \(only a warning: it is denied in another namespace, where the evidence is from\): falco reported "PTRACE/,
    )
    assert.doesNotMatch(flagged(IMAGE, 'blog')?.text ?? '', /evil|Drop/)
  })

  it('warns where the image ran before, until evidence comes from a second namespace', async () => {
    const [shop, blog] = [runs('shop/Deployment/web'), runs('blog/Deployment/web')]
    const it = await rig([shop, blog])
    await it.handle([about(shop)])
    assert.deepEqual(answers(it, ALL), ['denying', 'denying', 'warning', 'denying'])
    const flagged = findFlagged(createVerdictIndex(it.list()), parseReference, () => it.now)
    const text = flagged(IMAGE, 'blog')?.text ?? ''
    assert.match(
      text,
      /is under suspicion \(only a warning: it ran here before, and all evidence is from another namespace\): falco/,
    )
    assert.doesNotMatch(text.replaceAll(IMAGE, ''), /shop\/web-1/)
    // More from the first namespace changes nothing; a spared namespace with evidence of its own is denied, the others still are not.
    const mine = runs('blog/Deployment/job', { overridesCommand: true })
    it.directory.add(mine)
    it.directory.add(runs('pay/Deployment/web', { firstSeen: NOW + 1 }))
    await it.handle([about(shop, { rule: 'Execution from /dev/shm' })])
    assert.deepEqual(answers(it, ['blog', 'pay']), ['warning', 'denying'], 'who came later was not there before')
    await it.handle([about(mine, { rule: PTRACE })])
    assert.deepEqual(answers(it, ['blog']), ['denying'])
    assert.deepEqual(it.get(NAME)?.reach, undefined)
  })

  it('denies everywhere with shared evidence from a second namespace', async () => {
    const [shop, blog, pay] = [runs('shop/Deployment/web'), runs('blog/Deployment/web'), runs('pay/Deployment/web')]
    const it = await rig([shop, blog, pay])
    await it.handle([about(shop)])
    assert.deepEqual(it.get(NAME)?.reach, { elsewhere: 'denying', denying: [], warning: ['blog', 'pay'] })
    await it.handle([about(blog, { rule: 'PTRACE anti-debug attempt' })])
    assert.deepEqual(answers(it, ['shop', 'blog', 'pay']), ['denying', 'denying', 'denying'])
    // It stays so when the evidence is written again.
    it.now += HOUR
    await it.handle([about(shop, { time: it.now })])
    assert.deepEqual(answers(it, ['pay']), ['denying'])
  })

  it('spares nobody for longer than the image runs there', async () => {
    const [shop, blog] = [runs('shop/Deployment/web'), runs('blog/Deployment/web')]
    const it = await rig([shop, blog])
    await it.handle([about(shop)])
    it.now += 24 * HOUR
    await it.sweep()
    assert.deepEqual(answers(it, ['blog']), ['warning'], 'it still runs')
    it.directory.clear()
    it.directory.add(shop)
    it.now += 10 * 60_000
    await it.sweep()
    assert.deepEqual(answers(it, ['blog']), ['denying'])
    const soon = await rig([shop, blog])
    await soon.handle([about(shop)])
    soon.directory.clear()
    soon.now += 23 * HOUR
    await soon.sweep()
    assert.deepEqual(answers(soon, ['blog']), ['warning'], 'the directory has not seen a whole day yet')
  })

  const modes: readonly (readonly [ReachSettings['mode'], readonly string[]])[] = [
    ['cluster', ['denying', 'denying', 'denying', 'denying']],
    ['evidence', ['denying', 'warning', 'warning', 'warning']],
  ]
  for (const [mode, expected] of modes) {
    it(`reaches as configured: ${mode}`, async () => {
      const shop = runs('shop/Deployment/web')
      const it = await rig([shop, runs('blog/Deployment/web')], { mode })
      await it.handle([about(shop)])
      assert.deepEqual(answers(it, ALL), expected)
    })
  }

  it('holds everywhere standalone, where nobody knows what runs', async () => {
    const it = await rig([], { budget: { perNamespace: 0, perCluster: 0 } }, { directory: undefined })
    await it.handle([alert()])
    assert.deepEqual([answers(it, ALL), it.list()[0]?.reach], [['denying', 'denying', 'denying', 'denying'], undefined])
  })

  it('does not let a tenant hold up what is denied elsewhere by making its own namespace wait', async () => {
    const shop = runs('shop/Deployment/web')
    const mine = runs('bank/Deployment/web', { overridesCommand: true })
    const evil = runs('evil/DaemonSet/fake', { overridesCommand: true })
    const it = await rig([shop, mine])
    it.directory.add(evil)
    await it.handle([about(evil)])
    assert.deepEqual([it.get(NAME)?.phase, answers(it, ALL)], ['pending', [undefined, 'warning', undefined, undefined]])
    // Evidence that counts for one namespace is asked about that namespace alone, and so is the next one.
    await it.handle([about(mine)])
    assert.deepEqual(answers(it, ['bank', 'evil', 'blog']), ['denying', 'warning', undefined])
    // What waits does not promote by itself, whoever ran it then.
    it.directory.clear()
    it.directory.add(shop)
    await it.handle([about(evil, { rule: FILELESS })])
    assert.deepEqual([it.get(NAME)?.phase, answers(it, ['evil'])], ['pending', ['warning']])
    await it.handle([about(shop)])
    assert.deepEqual(
      [it.get(NAME)?.phase, answers(it, ['shop', 'new', 'evil'])],
      ['denying', ['denying', 'denying', 'denying']],
    )
  })

  it('spares others and asks a person about a name that found no room in the verdict of its image, too', async () => {
    // So long that the first few fill the verdict.
    const names = Array.from({ length: 5 }, (_, n) =>
      runs('evil/Pod/x', { reference: `evil.example/${'x'.repeat(216)}${n}:1` }),
    )
    for (const [workloads, expected] of [
      [['shop/Deployment/web'], ['denying', 'warning', 'denying']],
      [['shop/DaemonSet/web'], ['warning', 'warning', 'warning']],
    ] as const) {
      const shop = workloads.map((owner) => runs(owner))
      const evil = runs('evil/Pod/x')
      const it = await rig([...shop, evil, ...names], { budget: { perNamespace: 100, perCluster: 100 } })
      for (const record of [...shop, evil, ...names]) await it.observeContainer(record)
      await it.handle(names.map((record) => about(record)))
      await it.handle([about(evil)])
      assert.deepEqual(it.list().find(({ references }) => references.includes(IMAGE))?.digests, [])
      assert.deepEqual(answers(it, ['evil', 'shop', 'new']), expected, workloads.join())
    }
  })

  it('goes on waiting for a person when more of the same comes later, or by another namespace', async () => {
    const shop = runs('shop/DaemonSet/web')
    const it = await rig([shop])
    await it.handle([about(shop)])
    it.directory.clear()
    const web = runs('shop/Deployment/web')
    it.directory.add(web)
    for (const days of [1, 6, 7]) {
      it.now = NOW + days * 24 * HOUR
      await it.handle([about(web, { time: it.now, rule: days === 6 ? PTRACE : FILELESS })])
      assert.deepEqual([it.get(NAME)?.phase, answers(it, ['shop'])], ['pending', ['warning']], `${days} days`)
    }
  })

  describe('what waits for a person', () => {
    const many = Array.from({ length: 11 }, (_, n) => runs(`shop/Deployment/web-${n}`))
    const other = runs('blog/Deployment/web')
    const cases: readonly (readonly [
      string,
      readonly ContainerRecord[],
      Partial<ReachSettings>,
      string | undefined,
    ])[] = [
      ['10 workloads', many.slice(0, 10), {}, undefined],
      ['11 workloads', many, {}, 'pending-many-workloads'],
      ['a DaemonSet elsewhere', [other, runs('log/DaemonSet/agent')], {}, 'pending-critical'],
      ['a critical pod elsewhere', [other, runs('net/Deployment/dns', { critical: true })], {}, 'pending-critical'],
      ['a pod in a protected namespace', [other, runs('kube-system/Deployment/x')], {}, 'pending-protected'],
      ['a namespace whose name begins so', [other, runs('kube-systems/Deployment/x')], {}, undefined],
      ...['registry.example/shop/*', 'registry.example/shop/web:1.*', `registry.example/shop/web@${DIGEST_A}`].map(
        (pattern) =>
          [
            `a protected image: ${pattern}`,
            [other],
            { protected: { images: [pattern], namespaces: [] } },
            'pending-protected',
          ] as const,
      ),
      ...[
        'registry.example/shop/w',
        'registry.example/*',
        'egistry.example/shop/web',
        'registry.example/shop/web:2',
      ].map(
        (pattern) =>
          [
            `another image: ${pattern}`,
            [other],
            { protected: { images: [pattern], namespaces: [] } },
            undefined,
          ] as const,
      ),
    ]
    for (const [name, records, settings, code] of cases) {
      it(`${name}: ${code ?? 'is denied'}`, async () => {
        const it = await rig(records, settings)
        const [outcome] = await it.handle([about(records[0] ?? assert.fail())])
        assert.equal(outcome?.phase, code === undefined ? 'denying' : 'pending')
        assert.equal(reasonCode(it.get(NAME) ?? assert.fail()), code ?? 'deny-threshold')
        if (code === undefined) return
        assert.deepEqual(answers(it, ['shop', 'blog', 'new']), ['warning', 'warning', 'warning'])
        // Nothing promotes it, until a person does.
        const second = runs('second/Deployment/web')
        it.directory.add(second)
        it.now += HOUR
        await it.handle([
          about(second, { time: it.now }),
          about(second, { rule: 'Execution from /dev/shm', time: it.now }),
        ])
        await it.sweep()
        assert.deepEqual(answers(it, ['shop', 'blog', 'new']), ['warning', 'warning', 'warning'])
        assert.equal(reasonCode(it.get(NAME) ?? assert.fail()), code)
        const confirmed = await it.confirm(NAME, { by: 'ann', reason: 'it is real' })
        assert.deepEqual([confirmed.phase, confirmed.reason], ['denying', 'confirmed: by ann: it is real'])
        assert.deepEqual(answers(it, ['shop', 'blog', 'new']), ['denying', 'denying', 'denying'])
      })
    }

    it('asks only of its own namespace for what counts only there', async () => {
      const evil = runs('evil/Deployment/fake', { overridesCommand: true })
      const daemon = runs('evil/DaemonSet/fake', { overridesCommand: true })
      const it = await rig([evil, ...many, runs('kube-system/DaemonSet/proxy')])
      await it.handle([about(evil)])
      assert.deepEqual(
        [it.get(NAME)?.phase, answers(it, ALL)],
        ['denying', [undefined, 'denying', undefined, undefined]],
      )
      const critical = await rig([daemon, ...many])
      await critical.handle([about(daemon)])
      assert.deepEqual(
        [critical.get(NAME)?.phase, answers(critical, ALL)],
        ['pending', [undefined, 'warning', undefined, undefined]],
      )
    })

    it('says why in the warning, and is ended by a release and by time', async () => {
      const it = await rig(many)
      await it.handle([about(many[0] ?? assert.fail())])
      const flagged = findFlagged(createVerdictIndex(it.list()), parseReference, () => it.now)
      assert.match(
        flagged(IMAGE, 'blog')?.text ?? '',
        /is under suspicion \(only a warning until a person decides: pending-many-workloads\): falco reported/,
      )
      await it.release(NAME, { by: 'ann', reason: 'no', as: 'fixed' })
      assert.deepEqual([it.get(NAME)?.phase, answers(it, ['shop'])], ['released', [undefined]])
      const over = await rig(many)
      await over.handle([about(many[0] ?? assert.fail())])
      over.now += 30 * 24 * HOUR + 1
      await over.sweep()
      assert.equal(over.get(NAME)?.phase, 'expired')
    })
  })

  describe('the budget', () => {
    const image = (n: number): Partial<ContainerRecord> => ({
      digests: [`sha256:${n.toString(16).padStart(64, '0')}`],
      reference: `registry.example/i:${n}`,
    })
    const phases = (it: Rig): readonly string[] => it.list().map(({ phase }) => phase)

    it('denies two images an hour by evidence of one namespace, in one request or several, and ten in all', async () => {
      const records = Array.from({ length: 24 }, (_, n) => runs(`n${Math.floor(n / 4)}/Deployment/w${n}`, image(n)))
      const it = await rig(records)
      await it.handle(records.slice(0, 3).map((record) => about(record)))
      await it.handle([about(records[3] ?? assert.fail())])
      assert.deepEqual(phases(it), ['denying', 'denying', 'pending', 'pending'])
      assert.equal(reasonCode(it.list()[2] ?? assert.fail()), 'pending-budget')
      await it.handle(records.slice(4).map((record) => about(record)))
      assert.equal(phases(it).filter((phase) => phase === 'denying').length, 10)
      it.now += HOUR + 1
      const next = [runs('n0/Deployment/late', image(100)), runs('n0/Deployment/late', image(101))]
      for (const record of next) it.directory.add(record)
      await it.handle(next.map((record) => about(record, { time: it.now })))
      assert.deepEqual(phases(it).slice(-2), ['denying', 'denying'])
      assert.deepEqual(phases(it).slice(2, 4), ['pending', 'pending'], 'time alone promotes nothing')
    })

    it('is counted from the ledger, so that another replica goes on where the first one was', async () => {
      const records = Array.from({ length: 4 }, (_, n) => runs(`shop/Deployment/w${n}`, image(n)))
      const store = createMemoryStore()
      const first = await rig(records, {}, { store })
      await first.handle([about(records[0] ?? assert.fail())])
      const second = await rig(records, {}, { store })
      await second.handle([about(records[1] ?? assert.fail())])
      await first.handle([about(records[2] ?? assert.fail())])
      assert.deepEqual(phases(first), ['denying', 'denying', 'pending'])
      const third = await rig(records, {}, { store })
      await third.handle([about(records[3] ?? assert.fail())])
      assert.deepEqual(phases(third), ['denying', 'denying', 'pending', 'pending'])
    })

    it('is not spent by a tenant for others, by what a person confirmed, or by what could not be written', async () => {
      const records = Array.from({ length: 5 }, (_, n) => runs(`${n < 3 ? 'evil' : 'shop'}/Deployment/w${n}`, image(n)))
      const store = createMemoryStore()
      let broken = false
      const it = await rig(
        records,
        { budget: { perNamespace: 2, perCluster: 3 } },
        {
          store: {
            ...store,
            write: (name, update) =>
              store.write(name, (current) => {
                const next = update(current)
                if (broken) throw new Error('broken')
                return next
              }),
          },
        },
      )
      await it.handle(records.slice(0, 3).map((record) => about(record)))
      assert.deepEqual(phases(it), ['denying', 'denying', 'pending'])
      await it.confirm(it.list()[2]?.name ?? '', { by: 'ann', reason: 'yes' })
      broken = true
      await assert.rejects(it.handle([about(records[3] ?? assert.fail())]))
      broken = false
      it.now += 60_001
      await it.handle([about(records[4] ?? assert.fail())])
      assert.deepEqual(phases(it), ['denying', 'denying', 'denying', 'denying'])
    })
  })

  describe('a person', () => {
    it('confirms with kubectl: everybody denies, and the verdict lasts', async () => {
      const [shop, blog] = [runs('shop/Deployment/web'), runs('blog/Deployment/web')]
      const it = await rig([shop, blog])
      await it.handle([about(shop)])
      const confirm = { by: 'ann', reason: 'yes', at: NOW, until: NOW + 60 * 24 * HOUR }
      await it.store.write(NAME, (current) => ({ ...(current ?? assert.fail()), confirm }))
      await it.stop()
      assert.deepEqual([answers(it, ['blog']), it.get(NAME)?.expiresAt], [['denying'], NOW + 60 * 24 * HOUR])
    })

    it('confirms what is only watched, and takes it back with a release', async () => {
      const shop = runs('shop/Deployment/web')
      const it = await rig([shop])
      await it.handle([about(shop, { rule: 'PTRACE anti-debug attempt' })])
      assert.equal((await it.confirm(NAME, { by: 'ann', reason: 'yes' })).phase, 'denying')
      it.now += 1
      assert.equal((await it.release(NAME, { by: 'bob', reason: 'no', as: 'fixed' })).phase, 'released')
      await assert.rejects(it.confirm('ref-nothing', { by: 'a', reason: 'b' }), { name: 'NoSuchVerdictError' })
    })
  })

  it('tells once that a verdict ends within 72 h, and again when it was extended', async () => {
    const shop = runs('shop/Deployment/web')
    const it = await rig([shop], {}, { thresholds: { flagMs: 5 * 24 * HOUR } })
    await it.handle([about(shop)])
    await it.sweep()
    it.now += 2 * 24 * HOUR
    for (let n = 0; n < 3; n++) await it.sweep()
    assert.deepEqual(it.events, ['undefined -> denying: deny-threshold', 'expires soon: sha256-aaa'])
    await it.handle([about(shop, { time: it.now })])
    it.now += 2 * 24 * HOUR
    await it.sweep()
    assert.equal(it.events.length, 3)
    const short = await rig([shop], {}, { thresholds: { flagMs: HOUR } })
    await short.handle([about(shop)])
    await short.sweep()
    assert.equal(short.events.length, 1, 'never had 72 h')
  })

  it('tells that a flagged image runs under a new name', async () => {
    const shop = runs('shop/Deployment/web')
    const it = await rig([shop])
    await it.handle([about(shop, { rule: 'PTRACE anti-debug attempt' })])
    await it.observeContainer(runs('blog/Deployment/a', { reference: 'registry.example/copy:1' }))
    await it.handle([about(shop)])
    for (let n = 0; n < 2; n++)
      await it.observeContainer(runs('blog/Deployment/b', { reference: 'registry.example/copy:2' }))
    assert.deepEqual(it.events.slice(1), [
      'observing -> denying: deny-threshold',
      'sha256-aaa joined by registry.example/copy:2',
    ])
  })

  it('reads old verdicts, which have no reach, as holding everywhere', async () => {
    const shop = runs('shop/Deployment/web')
    const old: ImageVerdict = {
      name: NAME,
      digests: [DIGEST_A],
      references: [IMAGE],
      contributions: {},
      evidence: [],
      phase: 'denying',
      phaseSince: NOW - HOUR,
      reason: 'deny-threshold: score 100.0 reached 100 (drop)',
      expiresAt: NOW + 24 * HOUR,
    }
    const it = await rig(
      [shop, runs('blog/Deployment/web', { firstSeen: NOW - 9 * HOUR })],
      {},
      { store: createMemoryStore([old]) },
    )
    assert.deepEqual(answers(it, ALL), ['denying', 'denying', 'denying', 'denying'])
    await it.handle([about(shop)])
    assert.deepEqual(answers(it, ALL), ['denying', 'denying', 'denying', 'denying'])
  })

  it('answers the same in every namespace, whatever the order of the alerts', async () => {
    const records = ['shop', 'blog', 'pay'].flatMap((namespace) => [
      runs(`${namespace}/Deployment/web`),
      runs(`${namespace}/Deployment/job`, { overridesCommand: true }),
    ])
    const some = fc.array(
      fc.record({
        record: fc.constantFrom(...records),
        rule: fc.constantFrom(PTRACE, 'PTRACE anti-debug attempt', 'Drop and execute new binary in container'),
        time: fc.integer({ min: NOW - 20 * HOUR, max: NOW }),
      }),
      { minLength: 1, maxLength: 8 },
    )
    const after = async (
      mode: ReachSettings['mode'],
      alerts: readonly (readonly RuntimeAlert[])[],
    ): Promise<unknown> => {
      const it = await rig(records, { mode })
      for (const group of alerts) await it.handle(group)
      return [it.list().map(({ phase, reach }) => [phase, reach]), answers(it, ['shop', 'blog', 'pay', 'new'])]
    }
    await fc.assert(
      fc.asyncProperty(
        some,
        fc.constantFrom('auto' as const, 'cluster' as const, 'evidence' as const),
        fc.infiniteStream(fc.nat()),
        async (list, mode, random) => {
          const alerts = list.map(({ record, rule, time }) => about(record, { rule, time }))
          const shuffled = [...alerts, ...alerts]
            .map((item) => [random.next().value ?? 0, item] as const)
            .toSorted(([a], [b]) => a - b)
            .map(([, item]) => item)
          const expected = await after(mode, [alerts])
          assert.deepEqual(
            await after(
              mode,
              shuffled.map((item) => [item]),
            ),
            expected,
          )
          assert.deepEqual(await after(mode, [shuffled]), expected)
        },
      ),
      { numRuns: 40 },
    )
  }).timeout(20_000)
})
