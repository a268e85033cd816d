/** What a scan has found so far: grouped by workload, bounded however many pods there are. */
import type { ExistingPodFinding } from '../policy/judgeExisting.ts'
import { findingLines } from '../policy/judgeExisting.ts'
import type { NamespacePolicy } from '../policy/types.ts'

/** Pods of one workload of which the same is to be said. */
export interface ScanGroup {
  readonly namespace: string
  /** `Deployment/web`. */
  readonly workload: string
  readonly pods: number
  /** Names of the first of them. */
  readonly examples: readonly string[]
  /** At most MAX_VIOLATIONS violations are kept. */
  readonly finding: ExistingPodFinding
  /** Violations that were not kept. */
  readonly moreViolations: number
}

export interface ScanCounts {
  readonly pods: number
  readonly clean: number
  readonly denied: number
  readonly warned: number
  readonly audited: number
  /** Of the denied, warned and audited: static pods. */
  readonly cannotBePrevented: number
  /** Pods with findings that are counted here but are in no group. */
  readonly notListed: number
  /** Namespaces to judge, and how many are done. */
  readonly namespaces: number
  readonly finished: number
}

/** Pods of one namespace. */
export interface NamespaceCount {
  readonly name: string
  readonly policy: NamespacePolicy
  readonly pods: number
  readonly denied: number
}

/** The one mutable thing of a scan. */
export interface ScanTally {
  /** A namespace that will be judged. */
  expect(name: string, policy: NamespacePolicy): void
  finish(name: string): void
  /** A pod was judged; undefined: there is nothing to say of it. Keeps nothing of the pod but texts. */
  add(
    pod: { readonly namespace: string; readonly name: string; readonly workload: string },
    finding: ExistingPodFinding | undefined,
  ): void
  counts(): ScanCounts
  namespaces(): readonly NamespaceCount[]
  /** Sorted by namespace and workload. */
  groups(): readonly ScanGroup[]
}

/** A group keeps at most about 25 KiB; more than this many are no longer for reading. */
const MAX_GROUPS = 10_000
const MAX_EXAMPLES = 3
const MAX_VIOLATIONS = 20
const MAX_FLAGGED = 10

/** A tally of nothing yet. */
export function emptyTally(): ScanTally {
  const groups = new Map<string, ScanGroup>()
  const namespaces = new Map<string, NamespaceCount>()
  const finished = new Set<string>()
  const total = { pods: 0, denied: 0, warned: 0, audited: 0, cannotBePrevented: 0, notListed: 0 }

  const group = (
    { namespace, name, workload }: { readonly namespace: string; readonly name: string; readonly workload: string },
    found: ExistingPodFinding,
  ): void => {
    const finding = {
      ...found,
      violations: found.violations.slice(0, MAX_VIOLATIONS),
      flagged: found.flagged.slice(0, MAX_FLAGGED),
    }
    const moreViolations = found.violations.length - finding.violations.length
    // The texts are what makes two pods the same to a reader; names of malformed pods stand in their texts.
    const lines = finding.problem === undefined ? findingLines(finding) : []
    const key = JSON.stringify([namespace, workload, finding.result, finding.cannotBePrevented, moreViolations, lines])
    const known = groups.get(key)
    if (known === undefined && groups.size >= MAX_GROUPS) {
      total.notListed += 1
      return
    }
    const examples = known?.examples ?? []
    groups.set(key, {
      ...(known ?? { namespace, workload, finding, moreViolations }),
      pods: (known?.pods ?? 0) + 1,
      examples: examples.length < MAX_EXAMPLES ? [...examples, name] : examples,
    })
  }

  return {
    expect(name, policy) {
      namespaces.set(name, { name, policy, pods: 0, denied: 0 })
    },
    finish(name) {
      finished.add(name)
    },
    add(pod, finding) {
      total.pods += 1
      if (finding !== undefined) {
        total[finding.result] += 1
        if (finding.cannotBePrevented) total.cannotBePrevented += 1
        group(pod, finding)
      }
      const counted = namespaces.get(pod.namespace)
      if (counted !== undefined) {
        const denied = counted.denied + (finding?.result === 'denied' ? 1 : 0)
        namespaces.set(pod.namespace, { ...counted, pods: counted.pods + 1, denied })
      }
    },
    counts: () => ({
      ...total,
      clean: total.pods - total.denied - total.warned - total.audited,
      namespaces: namespaces.size,
      finished: finished.size,
    }),
    namespaces: () => [...namespaces.values()],
    groups: () =>
      [...groups.values()].sort(
        (a, b) =>
          order(a.namespace, b.namespace) || order(a.workload, b.workload) || order(a.examples[0], b.examples[0]),
      ),
  }
}

const order = (a = '', b = ''): number => (a === b ? 0 : a < b ? -1 : 1)
