/**
 * Rule 10 on a real API server whose etcd syncs every write: two replicas share ten thousand alerts, are killed at random points, and the API server goes away in
 * the middle. Whatever was answered 200 is in the ledger afterwards. A cluster of its own, because only this one syncs.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

import { alertWriter, eventTimes } from '../bench/load.ts'
import type { RunningProgram } from '../process/server.ts'
import { until } from '../process/server.ts'
import { startReplicas } from './endToEnd/replicas.ts'
import type { Replicas } from './endToEnd/replicas.ts'
import { startCluster } from './harness.ts'
import type { Cluster } from './harness.ts'
import { placeOf, runPods } from './kubelet.ts'

const IMAGES = 60
const ALERTS = 10_000
const BATCH = 10
const CONNECTIONS = 8

/** Captures and the class that their alerts count for. */
const CAPTURES = [
  ['pod.drop_and_execute.jsonl', 'drop'],
  ['pod.fileless_memfd.jsonl', 'fileless'],
  ['pod.ptrace_attach.jsonl', 'ptrace-attach'],
  ['pod.reverse_shell.jsonl', 'reverse-shell'],
  ['pod.read_sensitive_file.jsonl', 'sensitive-read'],
] as const

/** A small generator with a seed (mulberry32), so that a failing run can be repeated. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296
  }
}

/** The status of the answer, or `no answer`. */
const sendOnce = (replica: RunningProgram, body: string): Promise<string> =>
  replica.alert(body).then(
    ({ status }) => String(status),
    () => 'no answer',
  )

/** `image number|class` of everything that the ledger holds. */
async function heldEffects(cluster: Cluster): Promise<ReadonlySet<string>> {
  const { items } = JSON.parse(await cluster.must(['get', 'imageverdicts', '-o', 'json'])) as {
    items: readonly { status?: { contributions?: readonly { class: string; owner: string }[] } }[]
  }
  const held = items.flatMap(({ status }) =>
    (status?.contributions ?? []).map(({ class: name, owner }) => `${/web-(\d+)-/.exec(owner)?.[1]}|${name}`),
  )
  return new Set(held)
}

describe('nothing that was acknowledged is lost', function () {
  this.timeout(600_000)
  let cluster: Cluster
  let replicas: Replicas
  before(async () => {
    cluster = await startCluster({ etcdArgs: [] })
    replicas = await startReplicas(cluster)
    const names = new Set(Array.from({ length: 2 * IMAGES }, (_, number) => placeOf(number).namespace))
    for (const name of names) await cluster.createNamespace(name, { 'drawbridge.dev/quarantine': 'enforce' })
    for (const name of names)
      await cluster.must(['wait', '--for=create', 'serviceaccount/default', '-n', name, '--timeout=30s'])
    await runPods(cluster, 0, 2 * IMAGES)
  })
  after(async () => {
    await replicas?.remove()
    await cluster?.stop()
  })

  it(`holds every acknowledged effect of ${ALERTS} alerts over kills of both replicas and a restart of the API server`, async () => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
    const random = randomFrom(seed)
    const writers = CAPTURES.map(([capture, name]) => ({ write: alertWriter(capture), name }))
    const time = eventTimes()
    const requests = ALERTS / BATCH
    const at = (low: number, high: number): number => Math.floor((low + random() * (high - low)) * requests)
    // After so many requests, in random places of their part of the run.
    const disasters: readonly {
      readonly after: number
      readonly name: string
      readonly strike: () => Promise<void>
    }[] = [
      {
        after: at(0.05, 0.25),
        name: 'A killed',
        strike: async () => {
          await replicas.killA()
          await replicas.startA()
        },
      },
      {
        after: at(0.25, 0.45),
        name: 'B killed',
        strike: async () => {
          await replicas.killB()
          await replicas.startB()
        },
      },
      {
        after: at(0.45, 0.65),
        name: 'API server restarted',
        strike: async () => {
          await cluster.stopApiServer()
          await cluster.startApiServer()
        },
      },
      {
        after: at(0.65, 0.95),
        name: 'both killed',
        strike: async () => {
          await Promise.all([replicas.killA(), replicas.killB()])
          await Promise.all([replicas.startA(), replicas.startB()])
        },
      },
    ]

    const acknowledged = new Set<string>()
    const answers = new Map<string, number>()
    const checked = async (when: string): Promise<void> => {
      const wanted = [...acknowledged]
      await until(
        `every acknowledged effect in the ledger, ${when} (SEED=${seed})`,
        async () => {
          const held = await heldEffects(cluster)
          return wanted.every((effect) => held.has(effect))
        },
        60_000,
      )
    }

    let taken = 0
    /** As a shipper does: what was not taken is sent again. */
    const send = async (replica: () => RunningProgram): Promise<void> => {
      const items = Array.from({ length: BATCH }, () => {
        const number = Math.floor(random() * IMAGES)
        const writer = writers[Math.floor(random() * writers.length)]!
        return { text: writer.write({ ...placeOf(number), nanoseconds: time() }), effect: `${number}|${writer.name}` }
      })
      await until(
        'a 200',
        async () => {
          const answer = await sendOnce(replica(), items.map(({ text }) => text).join('\n'))
          answers.set(answer, (answers.get(answer) ?? 0) + 1)
          // `Retry-After: 1`, shortened: eight senders in a tight loop would starve what they wait for.
          if (answer !== '200') await delay(100)
          return answer === '200'
        },
        120_000,
      )
      for (const { effect } of items) acknowledged.add(effect)
      taken++
    }
    let begun = 0
    const connection = async (index: number): Promise<void> => {
      while (begun < requests) {
        begun++
        await send(() => (index % 2 === 0 ? replicas.a : replicas.b))
      }
    }
    const strikes = (async () => {
      for (const { after, name, strike } of disasters) {
        await until(`request ${after}`, () => taken >= after, 120_000)
        await strike()
        await checked(`after: ${name}`)
      }
    })()
    await Promise.all([strikes, ...Array.from({ length: CONNECTIONS }, (_, index) => connection(index))])
    await checked('at the end')
    assert.equal(answers.get('200'), requests)
    assert.ok((answers.get('no answer') ?? 0) > 0, 'no request met a kill')
    assert.equal(acknowledged.size, IMAGES * CAPTURES.length)
  })

  it('counts alerts that two replicas share together, and crosses each threshold once', async () => {
    const first = alertWriter('pod.ptrace_attach.jsonl')
    const second = alertWriter('pod.ptrace_attach.jsonl')
    const time = eventTimes()
    const logged = (): string => replicas.a.output() + replicas.b.output()
    const numbers = Array.from({ length: 20 }, (_, index) => IMAGES + index)
    // 60 at A warns, 60 of another class at B denies; both at the same moment.
    await Promise.all(
      numbers.map(async (number) => {
        const attach = first({ ...placeOf(number), nanoseconds: time() })
        const debug = second({ ...placeOf(number), nanoseconds: time() }).replace(
          /"rule":"[^"]*"/,
          '"rule":"Debugfs Launched in Privileged Container"',
        )
        await Promise.all(
          (
            [
              [replicas.a, attach],
              [replicas.b, debug],
            ] as const
          ).map(([replica, text]) => until('a 200', async () => (await sendOnce(replica, text)) === '200')),
        )
      }),
    )
    const crossings = (): readonly string[] =>
      logged()
        .split('\n')
        .filter((line) => line.includes('verdict changed') && line.includes('"to":"denying"'))
        .map((line) => (JSON.parse(line) as { verdict: string }).verdict)
    const { items } = JSON.parse(await cluster.must(['get', 'imageverdicts', '-o', 'json'])) as {
      items: readonly { metadata: { name: string }; status?: { phase?: string; references?: readonly string[] } }[]
    }
    const verdicts = numbers.map((number) => {
      const found = items.filter(({ status }) => status?.references?.includes(placeOf(number).image))
      assert.equal(found.length, 1, `verdicts of ${placeOf(number).image}`)
      assert.equal(found[0]!.status?.phase, 'denying')
      return found[0]!.metadata.name
    })
    const crossed = crossings()
    assert.deepEqual(
      verdicts.map((name) => crossed.filter((other) => other === name).length),
      verdicts.map(() => 1),
    )
  })
})
