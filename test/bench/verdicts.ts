/** Verdicts in any number, for ledgers and indexes that are full. */
import { join } from 'node:path'

import { openSqliteLedger } from '../../src/adapters/sqlite.ts'
import type { ImageVerdict } from '../../src/verdicts/types.ts'
import { hexOf } from './load.ts'

const DAY = 24 * 3600_000

/** A verdict that denies an image of no pod of the measurements. */
export function verdictOf(index: number, loadedAt: number): ImageVerdict {
  // As in a ledger that has grown: not all of it of this hour.
  const now = loadedAt - 2 * 3600_000
  const digest = hexOf(`image-${index}`)
  const owner = `tenant-${index % 500}/Deployment/app-${index}`
  return {
    name: `sha256-${digest}`,
    digests: [`sha256:${digest}`],
    references: [`registry.example.com/tenant-${index % 500}/app-${index}:1.4.2`],
    contributions: {
      [JSON.stringify(['drop', 'falco', owner])]: {
        class: 'drop',
        detector: 'falco',
        owner,
        weight: 100,
        first: now,
        last: now,
      },
    },
    evidence: [
      {
        key: digest.slice(0, 32),
        detector: 'falco',
        rule: 'Drop and execute new binary in container',
        priority: 'Critical',
        class: 'drop',
        weight: 100,
        time: now,
        namespace: `tenant-${index % 500}`,
        pod: `app-${index}-7d4b9c6f5-x2x8q`,
        target: '/tmp/sleep',
      },
    ],
    phase: 'denying',
    phaseSince: now,
    reason: 'score 100 reached 100',
    expiresAt: now + 7 * DAY,
  }
}

/** So many verdicts. */
export function verdictsOf(count: number): readonly ImageVerdict[] {
  const now = Date.now()
  return Array.from({ length: count }, (_, index) => verdictOf(index, now))
}

/** Fills the ledger of a server that does not run. */
export async function fillLedger(data: string, count: number): Promise<void> {
  const ledger = await openSqliteLedger({
    file: join(data, 'ledger.sqlite'),
    clock: () => Date.now(),
    maxVerdicts: count,
  })
  const verdicts = verdictsOf(count)
  for (let first = 0; first < count; first += 5000)
    await Promise.all(
      verdicts.slice(first, first + 5000).map((verdict) => ledger.store.write(verdict.name, () => verdict)),
    )
  await ledger.close()
}
