/** What SENSOR=falco and SENSOR=tracee apply, to a real API server: it knows every field, and takes them. Pods of it are not started here. */
import assert from 'node:assert/strict'

import type { Endpoint } from '../e2e/endpoint.ts'
import { falcoObjects } from '../e2e/falco.ts'
import { TRACEE_SCENARIOS } from '../e2e/scenarios.ts'
import { traceeObjects } from '../e2e/tracee.ts'
import { traceeUrl } from '../process/asSensorsSend.ts'
import type { Cluster } from './harness.ts'
import { sharedCluster } from './shared.ts'

const ENDPOINT: Endpoint = { address: '10.96.0.10', token: 'fa'.repeat(32), ca: 'a CA' }
const SOCKET = '/run/containerd/containerd.sock'
const TOKEN = '7c'.repeat(32)

interface DaemonSet {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly args?: readonly string[]
          readonly volumeMounts: readonly { readonly name: string }[]
        }[]
        readonly volumes: readonly { readonly name: string }[]
      }
    }
  }
}

describe('the sensors of make e2e SENSOR=...', function () {
  this.timeout(60_000)
  let cluster: Cluster
  const applied = async (name: string, objects: readonly object[]): Promise<DaemonSet> => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
    await cluster.must(['apply', '--validate=strict', '-f', '-'], list)
    return JSON.parse(await cluster.must(['-n', name, 'get', 'daemonset', name, '-o', 'json'])) as DaemonSet
  }
  const names = (list: readonly { readonly name: string }[]): readonly string[] => list.map(({ name }) => name)

  before(() => {
    cluster = sharedCluster()
  })
  after(async () => {
    for (const name of ['falco', 'tracee'])
      await cluster?.must(['delete', 'namespace', name, '--ignore-not-found', '--wait=false'])
  })

  it('falco', async () => {
    const { containers, volumes } = (await applied('falco', falcoObjects(ENDPOINT, SOCKET))).spec.template.spec
    assert.deepEqual(
      names(containers[0]!.volumeMounts).filter((name) => !names(volumes).includes(name)),
      [],
    )
  })

  it('tracee: the arguments of the guide, the events of the scenarios, and every mount has its volume', async () => {
    const objects = traceeObjects(ENDPOINT, TOKEN, SOCKET)
    const { containers, volumes } = (await applied('tracee', objects)).spec.template.spec
    const [{ args, volumeMounts }] = containers as [
      Required<DaemonSet['spec']['template']['spec']['containers'][number]>,
    ]
    assert.equal(
      traceeUrl(args),
      'https://tracee:$(DRAWBRIDGE_TOKEN)@drawbridge.drawbridge.svc:8444/alerts/tracee?timeout=5s',
    )
    assert.ok(args.includes(`--events=${TRACEE_SCENARIOS.map(({ event }) => event).join(',')}`), args.join(' '))
    assert.deepEqual(
      names(volumeMounts).filter((name) => !names(volumes).includes(name)),
      [],
    )
    const token = ['-n', 'tracee', 'get', 'secret', 'drawbridge', '-o', 'jsonpath={.data.token}']
    assert.equal(Buffer.from(await cluster.must(token), 'base64').toString(), TOKEN)
  })
})
