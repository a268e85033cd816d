/** The main story on a real API server: an alert goes to one replica, the other denies the redeploy; release, and the alert that comes again. */
import assert from 'node:assert/strict'

import { cli, until } from '../../process/server.ts'
import type { Cluster } from '../harness.ts'
import {
  apply,
  assertAllowed,
  assertDenied,
  denialBy,
  deployment,
  hexOf,
  mustApply,
  openNamespace,
  plainPod,
  podOf,
  podSpec,
  randomHex,
  reportRunning,
  runDeployment,
  sendAlert,
  untilAllowed,
  untilDenied,
} from './replicas.ts'
import type { Replicas, Stage } from './replicas.ts'

const NAMESPACE = 'e2e-alerts'
const RULE = 'Drop and execute new binary in container'

const template = (image: string): object => ({ spec: { ...podSpec(image), restartPolicy: 'Never' } })
const job = (name: string, image: string): object => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, namespace: NAMESPACE },
  spec: { template: template(image) },
})
const cronJob = (name: string, image: string): object => ({
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name, namespace: NAMESPACE },
  spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: template(image) } } },
})

/** Registers the tests; `stage` is called when they run. */
export function testAlerts(stage: () => Stage): void {
  describe('alerts', () => {
    let cluster: Cluster
    let replicas: Replicas
    before(async () => {
      ;({ cluster, replicas } = stage())
      await openNamespace(cluster, NAMESPACE)
    })
    after(async () => {
      await cluster?.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false'])
    })

    /** A counter of replica A's alert thread. */
    const decisions = async (decision: string): Promise<number> => {
      const { text } = await replicas.a.admin('/metrics')
      return Number(
        new RegExp(`^drawbridge_alert_decisions_total\\{decision="${decision}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0,
      )
    }

    /** A flagged image: its verdict, and the alert that can come again. */
    const flag = async (app: string): Promise<{ image: string; verdict: string; again: () => Promise<string> }> => {
      const image = `registry.example/alerts/${app}:1`
      const hex = hexOf(app)
      const running = await runDeployment(
        cluster,
        NAMESPACE,
        app,
        image,
        `registry.example/alerts/${app}@sha256:${hex}`,
      )
      const again = (): Promise<string> => sendAlert(replicas.a, { namespace: NAMESPACE, ...running })
      await again()
      await untilDenied(replicas.b, NAMESPACE, image)
      return { image, verdict: `sha256-${hex}`, again }
    }

    const backAndAgain = async (app: string, image: string, again: () => Promise<string>): Promise<void> => {
      await untilAllowed(replicas.b, NAMESPACE, image)
      assertAllowed(await apply(cluster, plainPod(NAMESPACE, `${app}-released`, image)))
      assertAllowed(await cluster.kubectl(['rollout', 'restart', `deployment/${app}`, '-n', NAMESPACE]))
      // A release without a time of its own covers the whole second in which the API server noted it.
      await until('a denial after a later alert', async () => {
        await again()
        return denialBy(replicas.b, NAMESPACE, image)
      })
      assertDenied(await apply(cluster, plainPod(NAMESPACE, `${app}-denied`, image)), 'enforce', RULE)
    }

    for (const [what, app, imageIdOf] of [
      ['with a repo digest', 'pulled', (hex: string) => `registry.example/alerts/pulled@sha256:${hex}`],
      ['that has only a config id', 'imported', (hex: string) => `sha256:${hex}`],
    ] as const) {
      describe(`an image ${what}`, () => {
        const repository = `registry.example/alerts/${app}`
        const image = `${repository}:1.4.2`
        const hex = hexOf(app)
        const verdict = `sha256-${hex}`
        const quoted = [RULE, 'falco reported', verdict, 'drawbridge verdicts show']
        let running: { readonly pod: string; readonly containerId: string }

        before(async () => {
          running = await runDeployment(cluster, NAMESPACE, app, image, imageIdOf(hex))
          await mustApply(cluster, deployment(NAMESPACE, `${app}-other`, `${repository}:1.4.1`, 0))
        })

        it('is not flagged by a terminal shell', async () => {
          const alert = { namespace: NAMESPACE, ...running, fixture: 'pod.terminal_shell' }
          assert.match(await sendAlert(replicas.a, alert), /no-weight/)
          assertAllowed(await apply(cluster, plainPod(NAMESPACE, `${app}-after-shell`, image)))
          assert.equal((await cluster.kubectl(['get', 'iv', verdict])).code, 1)
        })

        it('is denied by the replica that did not get the alert', async () => {
          const before = Date.now()
          // Its own 200 is not waited for longer than the alert thread needs: parked until the status arrived is as good.
          assert.match(await sendAlert(replicas.a, { namespace: NAMESPACE, ...running }), /contributed|parked/)
          const answered = performance.now()
          const text = await untilDenied(replicas.b, NAMESPACE, image)
          process.stdout.write(`      200 at A to denial at B: ${(performance.now() - answered).toFixed(0)} ms\n`)
          const [, time] = / at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ);/.exec(text) ?? []
          assert.ok(Math.abs(Date.parse(time!) - before) < 60_000, text)
          assert.ok(text.includes(`in pod ${NAMESPACE}/${running.pod}`), text)
        })

        it('shows its verdict to kubectl', async () => {
          const shown = await cluster.must(['get', 'iv', verdict])
          assert.match(shown, /denying/)
          assert.ok(shown.includes(image), shown)
        })

        it('is denied in new pods, by tag and by digest', async () => {
          assertDenied(await apply(cluster, plainPod(NAMESPACE, `${app}-new`, image)), 'enforce', ...quoted)
          assertDenied(
            await apply(cluster, plainPod(NAMESPACE, `${app}-digest`, `${repository}@sha256:${hex}`)),
            'enforce',
            ...quoted,
          )
          const both = `mirror.example/other@sha256:${hex}`
          assertDenied(await apply(cluster, plainPod(NAMESPACE, `${app}-mirror`, both)), 'enforce', ...quoted)
        })

        it('is denied in an ephemeral container of another pod', async () => {
          await mustApply(cluster, plainPod(NAMESPACE, `${app}-debugged`, `${repository}:1.4.1`))
          const debug = ['debug', `pod/${app}-debugged`, '-n', NAMESPACE, `--image=${image}`]
          // The denial has room for a part of the name only, where the checks deny the container as well.
          assertDenied(await cluster.kubectl(debug), 'enforce', RULE, verdict.slice(0, 19))
        })

        it('is denied in a Job, a CronJob, a new Deployment and one that is changed to it', async () => {
          for (const object of [
            job(`${app}-job`, image),
            cronJob(`${app}-cron`, image),
            deployment(NAMESPACE, `${app}-again`, image),
            deployment(NAMESPACE, `${app}-other`, image, 0),
          ])
            assertDenied(await apply(cluster, object), 'verdicts', ...quoted)
          const set = ['set', 'image', `deployment/${app}-other`, '-n', NAMESPACE, `web=${image}`]
          assertDenied(await cluster.kubectl(set), 'verdicts', ...quoted)
        })

        it('warns at a rollout of what runs already, whose new pods are then denied', async () => {
          const outcome = await cluster.kubectl(['rollout', 'restart', `deployment/${app}`, '-n', NAMESPACE])
          assertAllowed(outcome)
          assert.match(outcome.stderr, /Warning: drawbridge: Deployment "\S+" goes on using a flagged image/)
          const condition = await until('the reason that nothing rolls out', async () => {
            const path = 'jsonpath={.status.conditions[?(@.type=="Progressing")].message}'
            const message = await cluster.must(['get', 'deployment', app, '-n', NAMESPACE, '-o', path])
            return message.includes('denied the request') && message
          })
          assert.ok(condition.includes(RULE) && condition.includes(verdict), condition)
          // What runs goes on running.
          assert.equal(await podOf(cluster, NAMESPACE, app), running.pod)
        })

        it('is not replaced when its pod is deleted', async () => {
          await cluster.must(['delete', 'pod', running.pod, '-n', NAMESPACE, '--wait=true'])
          const message = await until('FailedCreate', async () => {
            const path = 'jsonpath={.items[*].status.conditions[?(@.type=="ReplicaFailure")].message}'
            return cluster
              .must(['get', 'rs', '-n', NAMESPACE, '-l', `app=${app}`, '-o', path])
              .then((text) => text || undefined)
          })
          assert.ok(message.includes(RULE) && message.includes(verdict), message)
        })

        it('may be deployed with another tag or digest', async () => {
          assertAllowed(await apply(cluster, plainPod(NAMESPACE, `${app}-tag`, `${repository}:1.4.3`)))
          assertAllowed(
            await apply(cluster, plainPod(NAMESPACE, `${app}-fixed`, `${repository}@sha256:${hexOf('fixed')}`)),
          )
          await cluster.must(['set', 'image', `deployment/${app}`, '-n', NAMESPACE, `web=${repository}:1.4.3`])
        })
      })
    }

    describe('release', () => {
      it('by the command line lets the image back, until a later alert', async () => {
        const { image, verdict, again } = await flag('by-cli')
        const released = cli(['verdicts', 'release', verdict, '--reason', 'a test', '--kubeconfig', cluster.kubeconfig])
        assert.equal(released.code, 0, released.err)
        await backAndAgain('by-cli', image, again)
        const list = cli(['verdicts', 'list', '--kubeconfig', cluster.kubeconfig])
        assert.match(list.out, /denying .*registry\.example\/alerts\/by-cli:1/)
      })

      it('by plain kubectl lets the image back, until a later alert', async () => {
        const { image, verdict, again } = await flag('by-kubectl')
        const release = { by: 'admin', reason: 'a test', as: 'fixed' }
        await cluster.must(['patch', 'iv', verdict, '--type=merge', '-p', JSON.stringify({ spec: { release } })])
        await backAndAgain('by-kubectl', image, again)
      })

      it('by deleting the verdict forgets it', async () => {
        const { image, verdict } = await flag('by-delete')
        await cluster.must(['delete', 'iv', verdict])
        await untilAllowed(replicas.b, NAMESPACE, image)
      })
    })

    describe('attribution', () => {
      it('parks an alert that is faster than the pod status, and flags the image when the status comes', async () => {
        const image = 'registry.example/alerts/early:1'
        await mustApply(cluster, plainPod(NAMESPACE, 'early', image))
        const containerId = randomHex()
        const decision = await sendAlert(replicas.a, { containerId, namespace: NAMESPACE, pod: 'early' })
        assert.equal(decision, 'parked')
        assert.equal(await denialBy(replicas.b, NAMESPACE, image), undefined)
        await reportRunning(
          cluster,
          NAMESPACE,
          'early',
          `${image.replace(':1', '')}@sha256:${hexOf('early')}`,
          containerId,
        )
        assert.ok((await untilDenied(replicas.b, NAMESPACE, image)).includes(RULE))
      })

      it('answers 200 to an alert for a container that nobody knows, counts it, and flags nothing', async () => {
        const image = 'registry.example/alerts/victim:1'
        const [parked, verdicts] = [await decisions('parked'), await cluster.must(['get', 'iv', '-o', 'name'])]
        const alert = { containerId: randomHex(), namespace: NAMESPACE, pod: 'nobody', image }
        assert.equal(await sendAlert(replicas.a, alert), 'parked')
        assert.equal(await decisions('parked'), parked + 1)
        assert.equal(await cluster.must(['get', 'iv', '-o', 'name']), verdicts)
        assert.equal(await denialBy(replicas.b, NAMESPACE, image), undefined)
      })

      it('ignores what an alert says of the image', async () => {
        const [real, claimed] = ['registry.example/alerts/real:1', 'registry.example/alerts/claimed:1']
        const imageID = `registry.example/alerts/real@sha256:${hexOf('real')}`
        const running = await runDeployment(cluster, NAMESPACE, 'real', real, imageID)
        await sendAlert(replicas.a, { namespace: NAMESPACE, ...running, image: claimed })
        await untilDenied(replicas.b, NAMESPACE, real)
        assert.equal(await denialBy(replicas.b, NAMESPACE, claimed), undefined)
      })

      it('flags nothing when the container id belongs to another pod than the alert names', async () => {
        const image = 'registry.example/alerts/contradiction:1'
        const imageID = `registry.example/alerts/contradiction@sha256:${hexOf('contradiction')}`
        const { containerId } = await runDeployment(cluster, NAMESPACE, 'contradiction', image, imageID)
        // Parked as long as A has not seen the status.
        await until('an answer that knows the container', async () => {
          const decision = await sendAlert(replicas.a, { containerId, namespace: NAMESPACE, pod: 'somebody-else' })
          return decision === 'unattributed'
        })
        assert.equal(await denialBy(replicas.b, NAMESPACE, image), undefined)
      })
    })
  })
}
