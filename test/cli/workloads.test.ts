import assert from 'node:assert/strict'

import * as fc from 'fast-check'

import type { Workload } from '../../src/kube/workload.ts'
import { readWorkload } from '../../src/kube/workload.ts'
import type { WorkloadAccess } from '../../src/cli/workloadAccess.ts'
import { resolveNamespace } from '../../src/policy/namespace.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { run } from './fakes.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const NAME = `sha256-${'a'.repeat(64)}`
const VERDICT = { name: NAME, digests: [DIGEST], references: ['docker.io/shop/web:1'] } as unknown as ImageVerdict

const workload = (namespace: string, name: string, fields: Partial<Workload> = {}): Workload => ({
  namespace,
  kind: 'Deployment',
  name,
  desired: 2,
  ready: 0,
  images: ['shop/web:1', 'shop/side:1'],
  ...fields,
})

const pod = (namespace: string, owner: string, image: string, imageID = '', phase = 'Running') => ({
  namespace,
  name: 'p',
  workload: owner,
  object: {
    metadata: {},
    spec: { containers: [{ name: 'web', image }] },
    status: { phase, containerStatuses: [{ name: 'web', imageID }] },
  },
})

function access(fields: Partial<WorkloadAccess> = {}): WorkloadAccess {
  const labels = {
    shop: { 'drawbridge.dev/enforce': 'standard' },
    soft: { 'drawbridge.dev/quarantine': 'warn' },
    free: {},
    'kube-system': { 'drawbridge.dev/enforce': 'standard' },
  }
  return {
    namespaces: () => Promise.resolve(new Map(Object.entries(labels))),
    async *pods() {},
    async *workloads() {},
    resolvePolicy: (of) => resolveNamespace(of),
    verdicts: [VERDICT],
    findFlagged: (image) =>
      image === 'shop/web:1' ? { verdict: NAME, phase: 'denying', text: 'image "shop/web:1" is denied' } : undefined,
    history: () => Promise.resolve(undefined),
    brake: 'enforce',
    notes: [],
    close: () => Promise.resolve(),
    ...fields,
  }
}

const verdicts = (argv: readonly string[], fields: Partial<WorkloadAccess>) =>
  run(['verdicts', ...argv], { actions: { openWorkloads: () => Promise.resolve(access(fields)) } })

describe('verdicts blocked', () => {
  const workloads: WorkloadAccess['workloads'] = async function* () {
    yield [workload('soft', 'warned'), workload('shop', 'web'), workload('shop', 'up', { ready: 2 })]
    yield [workload('shop', 'other', { images: ['other:1'] }), workload('free', 'web'), workload('kube-system', 'web')]
    yield [workload('shop', 'batch', { kind: 'Job', desired: 1 })]
  }

  it('lists who is short of pods because of a verdict, and nobody else', async () => {
    assert.deepEqual(await verdicts(['blocked'], { workloads }), {
      code: 0,
      out:
        `NAMESPACE  WORKLOAD        READY  VERDICT${' '.repeat(66)}IMAGE\n` +
        `shop       Deployment/web  0/2    ${NAME}  shop/web:1\n` +
        `shop       Job/batch       0/1    ${NAME}  shop/web:1\n`,
      err: '',
    })
    const { out } = await verdicts(['blocked', '-o', 'json'], { workloads })
    assert.deepEqual(JSON.parse(out).items[0], {
      namespace: 'shop',
      workload: 'Deployment/web',
      desired: 2,
      ready: 0,
      image: 'shop/web:1',
      verdict: NAME,
      text: 'image "shop/web:1" is denied',
    })
  })

  it('says where each could go back to', async () => {
    const history: WorkloadAccess['history'] = ({ name }) =>
      Promise.resolve(
        name === 'web'
          ? { uid: 'u', images: ['shop/web:1'], revisions: [{ number: 3, images: ['shop/web:0'] }] }
          : undefined,
      )
    const { out } = await verdicts(['blocked'], { workloads, history })
    const command = 'kubectl rollout undo deployment/web --to-revision=3 -n shop'
    assert.ok(out.endsWith(`  shop/web:1\n\nBack to the last good revision:\n${command}\n`), out)
    const json = await verdicts(['blocked', '-o', 'json'], { workloads, history })
    const [web, batch] = JSON.parse(json.out).items
    assert.deepEqual(web.rollback, { revision: 3, images: ['shop/web:0'], command })
    assert.equal('rollback' in batch, false)
  })

  it('lists them also where revisions may not be read, and reads those of 50', async () => {
    const refused = await verdicts(['blocked'], { workloads, history: () => Promise.reject(new Error('not\nallowed')) })
    assert.equal(refused.code, 0)
    assert.match(refused.out, /Deployment\/web/)
    assert.equal(refused.err, 'drawbridge: revisions cannot be read: not?allowed\n')

    let read = 0
    const many: WorkloadAccess['workloads'] = async function* () {
      yield Array.from({ length: 80 }, (_, index) => workload('shop', `web-${index}`))
    }
    const history = () => Promise.resolve(void (read += 1))
    const { err } = await verdicts(['blocked'], { workloads: many, history })
    assert.equal(read, 50)
    assert.match(err, /revisions of the first 50 workloads were read/)
  })

  it('says that nobody is, and that the brake is on', async () => {
    assert.deepEqual(await verdicts(['blocked'], {}), {
      code: 0,
      out: 'No workload is short of pods because of a verdict.\n',
      err: '',
    })
    const braked = await verdicts(['blocked'], { workloads, brake: 'warn' })
    assert.equal(braked.err, 'drawbridge: the brake is on (quarantine: warn): no verdict denies anything now\n')
    assert.equal(braked.out, 'No workload is short of pods because of a verdict.\n')
  })

  it('cannot be used without a cluster', async () => {
    const actions = { openWorkloads: () => Promise.reject(new Error('give --kubeconfig FILE')) }
    assert.deepEqual(await run(['verdicts', 'blocked'], { actions }), {
      code: 2,
      out: '',
      err: 'drawbridge: give --kubeconfig FILE\n',
    })
  })
})

describe('verdicts impact', () => {
  const pods: WorkloadAccess['pods'] = async function* () {
    yield [
      pod('shop', 'Deployment/web', 'shop/web:1'),
      pod('shop', 'Deployment/web', 'shop/web:1'),
      pod('shop', 'Job/over', 'shop/web:1', '', 'Succeeded'),
      // Another name of the same image, told by its digest alone.
      pod('soft', 'Pod/p', 'mirror.example/web:latest', `mirror.example/web@${DIGEST}`),
    ]
    yield [pod('free', 'DaemonSet/d', `shop/web@${DIGEST}`), pod('free', 'Pod/q', 'other:1')]
  }
  const table =
    'NAMESPACE  WORKLOAD        PODS  NEW PODS  IMAGE\n' +
    `free       DaemonSet/d     1     allowed   shop/web@${DIGEST}\n` +
    'shop       Deployment/web  2     denied    shop/web:1\n' +
    'soft       Pod/p           1     warned    mirror.example/web:latest\n' +
    '\n4 pods run it; a denial would hit 1 workload in 1 namespace\n'

  for (const target of [NAME, NAME.slice(0, 15), DIGEST, 'shop/web:1', `anything@${DIGEST}`]) {
    it(`finds the image by ${target.slice(0, 30)}`, async () =>
      assert.deepEqual(await verdicts(['impact', target], { pods }), { code: 0, out: table, err: '' }))
  }

  for (const [target, message] of [
    ['sha256-bbbbbbbb', 'no verdict sha256-bbbbbbbb; "drawbridge verdicts list" shows them'],
    ['sha256-', 'sha256- is too short for the beginning of a name; give 8 characters or more'],
    ['NO SUCH', 'NO SUCH is no digest, no image and no name of a verdict'],
  ] as const) {
    it(`refuses ${target}`, async () =>
      assert.deepEqual(await verdicts(['impact', target], {}), { code: 2, out: '', err: `drawbridge: ${message}\n` }))
  }

  it('says where those that a denial would stop could go back to', async () => {
    const asked: string[] = []
    const history: WorkloadAccess['history'] = ({ namespace, kind, name }) => {
      asked.push(`${namespace}/${kind}/${name}`)
      const revisions = [
        { number: 3, images: ['shop/web:0'] },
        { number: 4, images: [`shop/web@${DIGEST}`] },
        { number: 5, images: ['shop/web:1'] },
      ]
      return Promise.resolve({ uid: 'u', images: ['shop/web:1'], revisions })
    }
    // Nothing denies it yet.
    const { out } = await verdicts(['impact', NAME], { pods, history, findFlagged: () => undefined })
    const command = 'kubectl rollout undo deployment/web --to-revision=3 -n shop'
    assert.equal(out, `${table}\nBack to the last good revision:\n${command}\n`)
    assert.deepEqual(asked, ['shop/Deployment/web'])
  })

  it('says that no pod runs it', async () =>
    assert.equal((await verdicts(['impact', 'other:2'], { pods })).out, 'No pod runs it.\n'))
})

describe('readWorkload', () => {
  const template = {
    spec: {
      containers: [
        { name: 'a', image: 'i' },
        { name: 'b', image: 'i' },
      ],
    },
  }
  const apps = (kind: string) => ({ group: 'apps', kind })
  const cases: readonly (readonly [{ group: string; kind: string }, object, object, string])[] = [
    [apps('Deployment'), {}, {}, '0/1'],
    [apps('Deployment'), { replicas: 3 }, { readyReplicas: 2 }, '2/3'],
    [apps('StatefulSet'), { replicas: 0 }, {}, '0/0'],
    [apps('DaemonSet'), {}, { desiredNumberScheduled: 4, numberReady: 1 }, '1/4'],
    [{ group: 'batch', kind: 'Job' }, {}, {}, '0/1'],
    [{ group: 'batch', kind: 'Job' }, { parallelism: 5, completions: 7 }, { succeeded: 4, active: 1 }, '1/3'],
    [{ group: 'batch', kind: 'Job' }, { suspend: true }, {}, '0/0'],
    [{ group: 'batch', kind: 'Job' }, {}, { conditions: [{ type: 'Failed', status: 'True' }] }, '0/0'],
    [{ group: '', kind: 'ReplicationController' }, { replicas: -1 }, {}, '0/0'],
  ]
  for (const [kind, spec, status, expected] of cases) {
    it(`${kind.kind} ${JSON.stringify(spec)} ${JSON.stringify(status)} is ${expected}`, () => {
      const read = readWorkload(kind, { metadata: { name: 'n', namespace: 's' }, spec: { ...spec, template }, status })
      assert.equal(`${read?.ready}/${read?.desired}`, expected)
      assert.deepEqual(read?.images, ['i'])
    })
  }

  it('leaves a ReplicaSet to its Deployment, and never throws', () => {
    const owned = { metadata: { ownerReferences: [{ controller: true }] }, spec: { template } }
    assert.equal(readWorkload(apps('ReplicaSet'), owned), undefined)
    fc.assert(fc.property(fc.jsonValue(), (value) => void readWorkload(apps('ReplicaSet'), value)))
    fc.assert(
      fc.property(
        fc.jsonValue(),
        (value) => void readWorkload({ group: 'batch', kind: 'Job' }, { spec: { template }, status: value }),
      ),
    )
  })
})
