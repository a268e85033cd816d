import { readFileSync } from 'node:fs'
import { splitBody } from '../../src/alerts/body.ts'
import { falco } from '../../src/alerts/sources/falco.ts'
import type { RuntimeAlert } from '../../src/alerts/types.ts'
import { isSameImage } from '../../src/correlator/attribute.ts'
import type { ContainerDirectory, ContainerRecord } from '../../src/correlator/types.ts'
import type { ParseReference } from '../../src/verdicts/name.ts'
import { contributionKey, noFacts } from '../../src/verdicts/merge.ts'
import type { Contribution, Evidence, ImageVerdict, VerdictFacts } from '../../src/verdicts/types.ts'

export const HOUR = 3600_000
export const NOW = Date.UTC(2026, 10, 22, 6, 10)

export const DIGEST_A = `sha256:${'a'.repeat(64)}`
export const DIGEST_B = `sha256:${'b'.repeat(64)}`

/** Enough of a reference parser for tests: registry present, tag or digest optional. */
export const parseReference: ParseReference = (text) => {
  const match = /^([a-z0-9./-]+(?::\d+\/[a-z0-9./-]+)?)(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text)
  if (match?.[1] === undefined) return undefined
  const [, repository, tag, digest] = match
  const normalized = digest === undefined ? `${repository}:${tag ?? 'latest'}` : `${repository}@${digest}`
  return { repository, tag, digest, normalized }
}

export function fixture(name: string): string {
  return readFileSync(new URL(`../../../test/fixtures/alerts/falco/${name}`, import.meta.url), 'utf8')
}

/** Findings of a fixture file, decoded as Falco posts them. */
export function findings(name: string): readonly RuntimeAlert[] {
  return [...splitBody(Buffer.from(fixture(name))).items].flatMap((item) => {
    const decoded = 'item' in item ? falco.decode(item.item) : undefined
    return decoded?.kind === 'finding' ? [decoded.alert] : []
  })
}

let counter = 0

export function alert(changes: Partial<RuntimeAlert> = {}): RuntimeAlert {
  const time = changes.time ?? NOW
  const nanoseconds = String(counter++).padStart(6, '0')
  return {
    detector: 'falco',
    source: 'falco',
    rule: 'Drop and execute new binary in container',
    priority: 'Critical',
    tags: [],
    time,
    timeText: `${new Date(time).toISOString().slice(0, -1)}${nanoseconds}Z`,
    containerId: 'c0ffee000001',
    namespace: 'shop',
    pod: 'web-1',
    containerName: 'web',
    image: 'registry.example/shop/web:1.4.2',
    target: '/tmp/sleep',
    ...changes,
  }
}

export function container(changes: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    containerId: `c0ffee000001${'0'.repeat(52)}`,
    containerName: 'web',
    kind: 'container',
    namespace: 'shop',
    pod: 'web-1',
    podUid: 'uid-1',
    node: 'node1',
    reference: 'registry.example/shop/web:1.4.2',
    digests: [DIGEST_A],
    owner: 'shop/Deployment/web',
    firstSeen: NOW - HOUR,
    ...changes,
  }
}

export interface FakeDirectory extends ContainerDirectory {
  add(record: ContainerRecord): void
  /** Nothing of the last 24 h is left. */
  clear(): void
}

export function directoryOf(...initial: readonly ContainerRecord[]): FakeDirectory {
  const records = [...initial]
  return {
    add: (record) => void records.push(record),
    clear: () => void records.splice(0),
    usesOf: (digests) =>
      records
        .filter((record) => isSameImage(record, { digests }))
        .map(({ owner, namespace, critical = false, firstSeen }) => ({ owner, namespace, critical, firstSeen })),
    ranAs: (digests, reference) =>
      records.some((record) => record.reference === reference && isSameImage(record, { digests })),
    findById: (prefix) => records.filter((record) => record.containerId.startsWith(prefix)),
    findByPod: (namespace, pod, name, uid) =>
      records.filter(
        (record) =>
          record.namespace === namespace &&
          record.pod === pod &&
          (name === undefined || record.containerName === name) &&
          (uid === undefined || record.podUid === uid),
      ),
  }
}

export function contribution(changes: Partial<Contribution> = {}): Contribution {
  const first = changes.first ?? changes.last ?? NOW
  return { class: 'drop', detector: 'falco', owner: 'shop/Deployment/web', weight: 100, first, last: first, ...changes }
}

export function evidence(changes: Partial<Evidence> = {}): Evidence {
  return {
    key: 'key',
    detector: 'falco',
    rule: 'Drop and execute new binary in container',
    priority: 'Critical',
    class: 'drop',
    weight: 100,
    time: NOW,
    namespace: 'shop',
    pod: 'web-1',
    target: '/tmp/sleep',
    ...changes,
  }
}

export function facts(contributions: readonly Contribution[], changes: Partial<VerdictFacts> = {}): VerdictFacts {
  const entries = contributions.map((item) => [contributionKey(item), item] as const)
  return { ...noFacts, contributions: Object.fromEntries(entries), ...changes }
}

export function verdict(changes: Partial<ImageVerdict> = {}): ImageVerdict {
  return {
    name: `sha256-${'a'.repeat(64)}`,
    digests: [DIGEST_A],
    references: ['registry.example/shop/web:1.4.2'],
    contributions: facts([contribution()]).contributions,
    evidence: [evidence()],
    phase: 'denying',
    phaseSince: NOW,
    reason: 'deny-threshold: score 100.0 reached 100 (drop)',
    expiresAt: NOW + 30 * 24 * HOUR,
    ...changes,
  }
}

/** The name of a verdict on an image whose digest is this number. */
export function numberedName(n: number): string {
  return `sha256-${n.toString(16).padStart(64, '0')}`
}

/** One that says nothing: for stores, which do not care. */
export function emptyVerdict(n: number, reason: string): ImageVerdict {
  const nothing = { digests: [], references: [], contributions: {}, evidence: [] }
  return { name: numberedName(n), ...nothing, phase: 'observing', phaseSince: 1, reason, expiresAt: 2 }
}
