import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Registry } from 'prom-client'

import { createAlertObserver } from '../../src/observe/alerts.ts'

describe('what is logged of alerts', () => {
  it('is bounded, but for those that contributed, and says how many are left out', async () => {
    const lines: { readonly decision: string; readonly unlogged?: number }[] = []
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(JSON.parse(chunk.toString('utf8')) as (typeof lines)[number])
        done()
      },
    })
    let time = 1000
    const registry = new Registry()
    const observer = createAlertObserver(pino(sink), registry, () => time)
    const decided = (decision: string, count: number): void => {
      for (let index = 0; index < count; index++) observer.alertDecided(decision, { rule: 'a' })
    }
    decided('repeat', 1000)
    decided('contributed', 30)
    decided('no-weight', 10)
    time = 2000
    decided('repeat', 1)
    assert.deepEqual(
      lines.map(({ decision, unlogged }) => `${decision} ${unlogged ?? 0}`),
      [
        ...Array<string>(20).fill('repeat 0'),
        ...Array<string>(30).fill('contributed 0'),
        ...Array<string>(10).fill('no-weight 0'),
        'repeat 980',
      ],
    )
    const counts = await registry.getSingleMetric('drawbridge_alert_decisions_total')!.get()
    assert.deepEqual(
      counts.values.map(({ labels, value }) => [labels['decision'], value]),
      [
        ['repeat', 1001],
        ['contributed', 30],
        ['no-weight', 10],
      ],
    )
  })
})
