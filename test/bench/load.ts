/** Alerts to send, and how to send them: what all measurements of the correlator share. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { headOf, openConnection, statusOf } from './connection.ts'
import { root, temporaryFolder, type RunningProgram } from '../process/server.ts'
import { startAsImage } from './servers.ts'

/** 64 hexadecimal digits that belong to a name: a container's id, a digest. */
export const hexOf = (name: string): string => createHash('sha256').update(name).digest('hex')

/** Where an alert comes from and when. */
export interface AlertFields {
  readonly containerId: string
  readonly namespace: string
  readonly pod: string
  /** `repository:tag`. */
  readonly image: string
  /** Nanoseconds since the epoch: two events of one container are told apart by it. */
  readonly nanoseconds: bigint
}

const MARKS = {
  containerId: '67aacb04675f',
  pod: 'web-7d4b9c6f5-x2x8q',
} as const

/**
 * Makes texts of alerts from a capture of a real Falco, by putting pieces of text together: numbers in Falco's alerts do not survive JSON.parse, and the
 * generator must cost less than what it measures. The capture's time, container, pod, namespace and image are replaced.
 */
export function alertWriter(capture: string): (fields: AlertFields) => string {
  const line = readFileSync(join(root, 'test/fixtures/alerts/falco', capture), 'utf8').split('\n')[0]!
  const tokens: readonly (readonly [RegExp, (fields: AlertFields) => string])[] = [
    [/"time":"[^"]*"/, ({ nanoseconds }) => `"time":"${falcoTime(nanoseconds)}"`],
    [new RegExp(MARKS.containerId), ({ containerId }) => containerId.slice(0, 12)],
    [new RegExp(MARKS.pod), ({ pod }) => pod],
    [/"k8s\.ns\.name":"[^"]*"/, ({ namespace }) => `"k8s.ns.name":"${namespace}"`],
    [
      /"container\.image\.repository":"[^"]*"/,
      ({ image }) => `"container.image.repository":"${image.slice(0, image.lastIndexOf(':'))}"`,
    ],
    [
      /"container\.image\.tag":"[^"]*"/,
      ({ image }) => `"container.image.tag":"${image.slice(image.lastIndexOf(':') + 1)}"`,
    ],
  ]
  let pieces: readonly (string | ((fields: AlertFields) => string))[] = [line]
  for (const [pattern, write] of tokens) {
    assert.match(line, pattern, `${capture} has changed`)
    pieces = pieces.flatMap((piece) => {
      if (typeof piece !== 'string') return [piece]
      const parts = piece.split(new RegExp(pattern, 'g'))
      return parts.flatMap((part, index) => (index === 0 ? [part] : [write, part]))
    })
  }
  return (fields) => pieces.map((piece) => (typeof piece === 'string' ? piece : piece(fields))).join('')
}

/** As Falco writes it: UTC with nine digits, always equally long. */
export function falcoTime(nanoseconds: bigint): string {
  const seconds = new Date(Number(nanoseconds / 1_000_000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}Z`
}

/** Event times that end now and never repeat: one microsecond apart, from an hour ago on. */
export function eventTimes(): () => bigint {
  let next = BigInt(Date.now() - 3600_000) * 1_000_000n
  return () => (next += 1000n)
}

/** What sending gave. Times in milliseconds. */
export interface Sent {
  readonly seconds: number
  /** How many answers there were with each status. */
  readonly statuses: ReadonlyMap<number, number>
  /** How long each request took, sorted. */
  readonly times: readonly number[]
}

/** Several rounds as one. */
export function joinSent(rounds: readonly Sent[]): Sent {
  const statuses = new Map<number, number>()
  for (const sent of rounds)
    for (const [status, count] of sent.statuses) statuses.set(status, (statuses.get(status) ?? 0) + count)
  return {
    seconds: rounds.reduce((sum, { seconds }) => sum + seconds, 0),
    statuses,
    times: rounds.flatMap(({ times }) => times).sort((left, right) => left - right),
  }
}

/** The value below which this part of the sorted values lies. */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** Where bodies are posted to. */
export interface Destination {
  readonly url: string
  /** A file. */
  readonly ca: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Sends bodies to a server's alert listener: see `sendBodies`. */
export function sendAlerts({ file }: RunningProgram, connections: number, bodies: Iterable<string>): Promise<Sent> {
  const headers = { Authorization: `Bearer ${file.alertToken}` }
  return sendBodies({ url: `${file.alerts}/alerts/falco`, ca: file.ca, headers }, connections, bodies)
}

/** Posts bodies over kept TLS connections, each the next one as soon as its answer is there. */
export async function sendBodies(
  { url, ca: file, headers = {} }: Destination,
  connections: number,
  bodies: Iterable<string>,
): Promise<Sent> {
  const ca = readFileSync(file, 'utf8')
  const statuses = new Map<number, number>()
  const times: number[] = []
  const waiting = bodies[Symbol.iterator]()
  const opened = await Promise.all(Array.from({ length: connections }, () => openConnection(url, { ca })))
  const started = performance.now()
  await Promise.all(
    opened.map(async (connection) => {
      for (let item = waiting.next(); item.done !== true; item = waiting.next()) {
        const before = performance.now()
        const status = statusOf(
          await connection.exchange(`${headOf(url, Buffer.byteLength(item.value), headers)}${item.value}`),
        )
        times.push(performance.now() - before)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }),
  )
  const seconds = (performance.now() - started) / 1000
  for (const connection of opened) connection.close()
  return { seconds, statuses, times: times.sort((left, right) => left - right) }
}

/** `200: 950, 503: 50` */
export function describeStatuses(statuses: ReadonlyMap<number, number>): string {
  return [...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')
}

/** Values of one metric of a server by one of its labels, summed over the others. */
export async function readCounter(server: RunningProgram, metric: string, label: string): Promise<Map<string, number>> {
  const { text } = await server.admin('/metrics')
  const counts = new Map<string, number>()
  for (const [, labels, value] of text.matchAll(new RegExp(`^${metric}\\{([^}]*)\\} ([0-9.e+]+)$`, 'gm'))) {
    const key = new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(labels!)?.[1] ?? ''
    counts.set(key, (counts.get(key) ?? 0) + Number(value))
  }
  return counts
}

/** Resident memory of a process in MiB, as the kernel counts it. */
export function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024
}

/** A standalone server whose limits for one sender are above what is measured. */
export async function startForLoad(): Promise<{
  readonly data: ReturnType<typeof temporaryFolder>
  readonly server: RunningProgram
}> {
  const data = temporaryFolder()
  writeFileSync(
    join(data.path, 'drawbridge.yaml'),
    'alerts: { limits: { alertsPerSecond: 1000000, verdictsPerHour: 1000000 } }\n',
  )
  return { data, server: await startAsImage(data.path) }
}
