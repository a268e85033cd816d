/** Several tenants that run one image: what an alert about one of them does to the others, and what a person's word adds (rules 18 and 19). */
import assert from 'node:assert/strict'

import { cli, podReview, until } from '../../process/server.ts'
import type { Cluster } from '../harness.ts'
import {
  apply,
  assertAllowed,
  assertDenied,
  hexOf,
  mustApply,
  openNamespace,
  plainPod,
  podOf,
  podSpec,
  postAlert,
  reportRunning,
  runDeployment,
  sendAlert,
} from './replicas.ts'
import type { Replicas, Stage } from './replicas.ts'

/** Whose image it is, who runs it too, and who never did. */
const [OWNER, NEIGHBOUR, STRANGER] = ['e2e-tenant-owner', 'e2e-tenant-neighbour', 'e2e-tenant-stranger']
const RULE = 'Drop and execute new binary in container'

/** Registers the tests; `stage` is called when they run. */
export function testTenants(stage: () => Stage): void {
  describe('tenants', () => {
    let cluster: Cluster
    let replicas: Replicas
    before(async () => {
      ;({ cluster, replicas } = stage())
      for (const namespace of [OWNER, NEIGHBOUR, STRANGER]) await openNamespace(cluster, namespace)
    })
    after(async () => {
      await cluster?.kubectl(['delete', 'namespace', OWNER, NEIGHBOUR, STRANGER, '--wait=false'])
    })

    interface Running {
      readonly namespace: string
      readonly pod: string
      readonly containerId: string
    }

    const imageIdOf = (app: string): string => `registry.example/tenants/${app}@sha256:${hexOf(`tenants-${app}`)}`
    const verdictOf = (app: string): string => `sha256-${hexOf(`tenants-${app}`)}`

    /** What replica B says of a new pod: denied, warned (only) or allowed. */
    const answer = async (namespace: string, image: string): Promise<string> => {
      const { status, text, body } = await replicas.b.review('/validate', podReview(image, { namespace }))
      assert.equal(status, 200, text)
      const { allowed, warnings = [] } = body.response as { allowed: boolean; warnings?: readonly string[] }
      if (!allowed) return 'denied'
      return warnings.some((warning) => warning.includes(image)) ? 'warned' : 'allowed'
    }
    const answers = async (image: string): Promise<readonly string[]> =>
      Promise.all([OWNER, NEIGHBOUR, STRANGER].map((namespace) => answer(namespace, image)))
    /** Of the owner, the neighbour and the stranger. */
    const untilAnswers = (image: string, ...wanted: readonly string[]): Promise<unknown> => {
      const text = wanted.join(', ')
      return until(`${image} to be ${text}`, async () => (await answers(image)).join(', ') === text, 10_000)
    }

    /** Replica A knows this container: an alert of no weight about it is attributed, not only counted. */
    const untilKnown = async ({ namespace, pod, containerId }: Running): Promise<void> => {
      const alert = { namespace, pod, containerId, fixture: 'pod.terminal_shell' }
      await until(`${namespace}/${pod} to be known to A`, async () => {
        const { body } = await postAlert(replicas.a, alert)
        return body.decisions[0].reason === 'shell (person) weighs nothing'
      })
    }

    const runs = async (namespace: string, app: string): Promise<Running> => {
      const image = `registry.example/tenants/${app}:1`
      const running = { namespace, ...(await runDeployment(cluster, namespace, app, image, imageIdOf(app))) }
      await untilKnown(running)
      return running
    }

    /** A pod of its own that is more than its image, started and known. */
    const runsPod = async (namespace: string, app: string, pod: string, extra: object): Promise<Running> => {
      const image = `registry.example/tenants/${app}:1`
      const { containers, ...rest } = podSpec(image) as { containers: readonly object[] }
      const { container = {}, spec = {} } = extra as { container?: object; spec?: object }
      const whole = { ...rest, ...spec, containers: containers.map((one) => ({ ...one, ...container })) }
      await mustApply(cluster, { ...plainPod(namespace, pod, image), spec: whole })
      const running = { namespace, pod, containerId: await reportRunning(cluster, namespace, pod, imageIdOf(app)) }
      await untilKnown(running)
      return running
    }

    const patch = async (app: string, spec: object): Promise<void> =>
      void (await cluster.must(['patch', 'iv', verdictOf(app), '--type=merge', '-p', JSON.stringify({ spec })]))
    const phaseOf = (app: string): Promise<string> =>
      cluster.must(['get', 'iv', verdictOf(app), '-o', 'jsonpath={.status.phase}'])

    it("cannot take another one down by running its image with a command of one's own", async () => {
      const image = 'registry.example/tenants/command:1'
      await runs(OWNER, 'command')
      const mine = await runsPod(NEIGHBOUR, 'command', 'miner', { container: { command: ['/bin/sh', '-c', 'evil'] } })
      assert.equal(await sendAlert(replicas.a, mine), 'contributed')
      await untilAnswers(image, 'allowed', 'denied', 'allowed')

      const denied = await apply(cluster, plainPod(NEIGHBOUR, 'command-again', image))
      assertDenied(denied, 'enforce', RULE, `in pod ${NEIGHBOUR}/miner`)
      // The owner's workload rolls out, and has its new pod, without a word.
      const restarted = await cluster.kubectl(['rollout', 'restart', 'deployment/command', '-n', OWNER])
      assertAllowed(restarted)
      assert.ok(!restarted.stderr.includes('drawbridge'), restarted.stderr)
      await until('the new pod of the owner', async () =>
        (await cluster.must(['get', 'pods', '-n', OWNER, '-l', 'app=command', '-o', 'name'])).includes('\n'),
      )
    })

    it('only warns who ran it before, until evidence comes from a second namespace', async () => {
      const image = 'registry.example/tenants/second:1'
      const [theirs, mine] = [await runs(OWNER, 'second'), await runs(NEIGHBOUR, 'second')]
      assert.equal(await sendAlert(replicas.a, mine), 'contributed')
      await untilAnswers(image, 'warned', 'denied', 'denied')

      const warned = await apply(cluster, plainPod(OWNER, 'second-again', image))
      assertAllowed(warned)
      assert.match(warned.stderr, /Warning: .*it ran here before, and all evidence is from another namespace/)
      // Whose pod it was is no business of the owner.
      assert.ok(!warned.stderr.includes(NEIGHBOUR), warned.stderr)
      const elsewhere = await apply(cluster, plainPod(STRANGER, 'second-new', image))
      assertDenied(elsewhere, 'enforce', RULE)
      assert.ok(!elsewhere.stderr.includes(NEIGHBOUR), elsewhere.stderr)

      assert.equal(await sendAlert(replicas.a, theirs), 'contributed')
      await untilAnswers(image, 'denied', 'denied', 'denied')
    })

    it('denies everywhere what a person confirms, and nowhere what one releases, by plain kubectl', async () => {
      const image = 'registry.example/tenants/confirmed:1'
      await runs(OWNER, 'confirmed')
      await sendAlert(replicas.a, await runs(NEIGHBOUR, 'confirmed'))
      await untilAnswers(image, 'warned', 'denied', 'denied')
      await patch('confirmed', { confirm: { by: 'admin', reason: 'seen on the node' } })
      await untilAnswers(image, 'denied', 'denied', 'denied')
      await patch('confirmed', { release: { by: 'admin', reason: 'an error', as: 'false-positive' } })
      await untilAnswers(image, 'allowed', 'allowed', 'allowed')
      await cluster.must(['wait', `iv/${verdictOf('confirmed')}`, '--for=jsonpath={.status.phase}=released'])
    })

    for (const [how, app, confirm] of [
      [
        'kubectl alone',
        'by-kubectl',
        async () => patch('by-kubectl', { confirm: { by: 'admin', reason: 'seen on the node' } }),
      ],
      [
        'the command line',
        'by-command',
        async () => {
          const { kubeconfig } = cluster
          const options = ['--reason', 'seen on the node', '--kubeconfig', kubeconfig]
          const { code, out, err } = cli(['verdicts', 'confirm', verdictOf('by-command'), ...options])
          assert.equal(code, 0, err)
          assert.match(out, /^confirmed sha256-/)
        },
      ],
    ] as const) {
      it(`only warns of an image that a critical pod runs, until a person confirms by ${how}`, async () => {
        const image = `registry.example/tenants/${app}:1`
        await runsPod(OWNER, app, app, { spec: { priorityClassName: 'system-node-critical' } })
        await sendAlert(replicas.a, await runs(NEIGHBOUR, app))
        await untilAnswers(image, 'warned', 'warned', 'warned')
        assert.equal(await phaseOf(app), 'pending')
        const reason = ['get', 'iv', verdictOf(app), '-o', 'jsonpath={.status.reason}']
        assert.match(await cluster.must(reason), /^pending-critical: /)
        // More of the same does not promote it.
        const other = await runsPod(STRANGER, app, `${app}-other`, {})
        assert.equal(await sendAlert(replicas.a, other), 'contributed')
        assert.equal(await phaseOf(app), 'pending')

        await confirm()
        await untilAnswers(image, 'denied', 'denied', 'denied')
        assert.equal(await phaseOf(app), 'denying')
        assertDenied(await apply(cluster, plainPod(OWNER, `${app}-again`, image)), 'enforce', RULE)
        await podOf(cluster, NEIGHBOUR, app)
      })
    }
  })
}
