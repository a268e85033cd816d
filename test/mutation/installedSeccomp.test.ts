import assert from 'node:assert/strict'
import * as fc from 'fast-check'

import type { KnownNode } from '../../src/kube/nodes.ts'
import { nodesOf } from '../../src/kube/nodes.ts'
import { installedSeccomp } from '../../src/mutation/installedSeccomp.ts'

const node = (name: string, labels: Readonly<Record<string, string>>, ...profiles: readonly string[]): KnownNode => ({
  name,
  labels: { 'kubernetes.io/hostname': name, ...labels },
  seccompProfiles: new Set(profiles),
})
const WEB = { type: 'Localhost', localhostProfile: 'drawbridge/web.json' } as const
const DEFAULT = { type: 'RuntimeDefault' } as const
const FAST = node('fast', { disk: 'ssd' }, 'web')
const SLOW = node('slow', { disk: 'hdd' })
const required = (...nodeSelectorTerms: readonly object[]): object => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
})
const term = (key: string, operator: string, ...values: readonly string[]): object => ({
  matchExpressions: [{ key, operator, values }],
})
const field = (...values: readonly string[]): object => ({
  matchFields: [{ key: 'metadata.name', operator: 'In', values }],
})

describe('nodes that a pod may run on', () => {
  for (const [what, spec, expected] of [
    ['nothing said', {}, ['fast', 'slow']],
    ['nodeName', { nodeName: 'slow' }, ['slow']],
    ['nodeName wins over a selector', { nodeName: 'slow', nodeSelector: { disk: 'ssd' } }, ['slow']],
    ['nodeSelector', { nodeSelector: { disk: 'ssd' } }, ['fast']],
    ['a selector of another label', { nodeSelector: { zone: 'a' } }, []],
    ['affinity In', required(term('disk', 'In', 'ssd', 'nvme')), ['fast']],
    ['affinity NotIn', required(term('disk', 'NotIn', 'ssd')), ['slow']],
    ['affinity Exists', required(term('zone', 'Exists')), []],
    ['affinity DoesNotExist', required(term('zone', 'DoesNotExist')), ['fast', 'slow']],
    ['one of two terms', required(term('disk', 'In', 'ssd'), term('disk', 'In', 'hdd')), ['fast', 'slow']],
    ['the node of a DaemonSet pod', required(field('slow')), ['slow']],
    ['a term that says nothing', required({}), []],
    ['no terms', required(), []],
    ['selector and affinity', { nodeSelector: { disk: 'ssd' }, ...required(field('slow')) }, []],
    ['an operator that is not understood', required(term('cores', 'Gt', '4')), ['fast', 'slow']],
    ['what is only preferred', { affinity: { nodeAffinity: {} } }, ['fast', 'slow']],
    ['nonsense', { nodeSelector: 7, affinity: 'x' }, ['fast', 'slow']],
  ] as const)
    it(what, () =>
      assert.deepEqual(
        [FAST, SLOW].filter(nodesOf(spec)).map(({ name }) => name),
        expected,
      ),
    )

  it('never throws', () => fc.assert(fc.property(fc.anything(), (spec) => void nodesOf(spec)(FAST))))

  it('reads what a pod says once, however many nodes there are', () => {
    let reads = 0
    const counted = {
      get matchExpressions() {
        reads += 1
        return [{ key: 'disk', operator: 'In', values: ['ssd'] }]
      },
    }
    const mayRunOn = nodesOf(required(counted))
    for (let count = 0; count < 1000; count += 1) assert.ok(mayRunOn(FAST))
    assert.equal(reads, 1)
  })

  for (const [what, spec] of [
    [
      'nodeSelector',
      { nodeSelector: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, 'v'])) },
    ],
    ['terms', required(...Array.from({ length: 51 }, () => term('zone', 'Exists')))],
    [
      'expressions',
      required({ matchExpressions: Array.from({ length: 100 }, () => ({ key: 'zone', operator: 'Exists' })) }),
    ],
    [
      'fields',
      required({ matchFields: Array.from({ length: 100 }, () => ({ key: 'metadata.name', operator: 'In' })) }),
    ],
  ] as const)
    it(`counts every node where ${what} of a pod say more than 100 things`, () =>
      assert.ok([FAST, SLOW].every(nodesOf(spec))))
})

describe('the seccomp profile that nodes have', () => {
  const inject = (spec: unknown, nodes?: readonly KnownNode[]): unknown[] => {
    const { setting, warning } = installedSeccomp({ spec }, WEB, nodes)
    return warning === undefined ? [setting] : [setting, warning]
  }
  const warned = (text: string): unknown[] => [
    DEFAULT,
    `drawbridge: RuntimeDefault instead of the seccomp profile "web": ${text}`,
  ]

  it('is injected where every possible node has it', () => {
    assert.deepEqual(inject({ nodeSelector: { disk: 'ssd' } }, [FAST, SLOW]), [WEB])
    assert.deepEqual(inject({}, [FAST]), [WEB])
  })

  it('is RuntimeDefault, and a warning, where one node lacks it or none is known', () => {
    assert.deepEqual(inject({}, [FAST, SLOW]), warned('1 of 2 nodes that this pod may run on lack it: slow'))
    assert.deepEqual(inject({}, []), warned('no node is known that this pod may run on'))
    assert.deepEqual(inject({ nodeName: 'other' }, [FAST]), warned('no node is known that this pod may run on'))
  })

  it('names at most two nodes, and warns in less than 256 characters', () => {
    const nodes = Array.from({ length: 5 }, (_, index) => node(`n${index}${'x'.repeat(250)}`, {}))
    const long = { type: 'Localhost', localhostProfile: `drawbridge/${'p'.repeat(53)}.json` } as const
    const { warning = '' } = installedSeccomp({ spec: {} }, long, nodes)
    assert.ok(warning.length < 256, String(warning.length))
    assert.match(warning, /5 of 5 nodes .*n1.*, \.\.\.$/)
  })

  it('is left alone where nobody reports, where the pod names its own, and in folders of others', () => {
    assert.deepEqual(inject({}), [WEB])
    assert.deepEqual(inject({ securityContext: { seccompProfile: { type: 'Unconfined' } } }, [SLOW]), [WEB])
    const other = { type: 'Localhost', localhostProfile: 'operator/shop/web.json' } as const
    assert.deepEqual(installedSeccomp({ spec: {} }, other, [SLOW]), { setting: other })
    assert.deepEqual(installedSeccomp({ spec: {} }, undefined, [SLOW]), { setting: undefined })
  })
})
