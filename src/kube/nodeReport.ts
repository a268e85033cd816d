/** What a node says of its seccomp profiles: a Lease of its name. `drawbridge seccomp-sync` writes it; the webhook and `doctor` read it. */
import { GROUP } from './names.ts'

export const PROFILES_ANNOTATION = `${GROUP}/seccomp-profiles`

/** How long a report is believed after it was written. It is written every quarter of this. */
export const REPORT_SECONDS = 120

/** The namespace of the chart's DaemonSet, where the reports are. */
export const REPORTS_NAMESPACE = 'drawbridge-seccomp'

/** What `drawbridge.dev/seccomp: localhost.NAME` means; profiles of other folders are their owner's business. */
const OURS = /^drawbridge\/([^/]+)\.json$/u

/** The name of a profile that nodes report, by what a pod would say; undefined: none of ours. */
export const reportedName = (localhostProfile: string): string | undefined => OURS.exec(localhostProfile)?.[1]

export interface NodeReport {
  /** When it was written, in milliseconds since the epoch. */
  readonly renewed: number
  /** Names without `.json`. */
  readonly profiles: ReadonlySet<string>
}

interface Shape {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, unknown>> | null } | null
  readonly spec?: { readonly renewTime?: unknown } | null
}

/** Undefined: the Lease says nothing that can be read. Pure; never throws. */
export function readNodeReport(lease: unknown): NodeReport | undefined {
  const { metadata, spec } = (lease ?? {}) as Shape
  try {
    const profiles: unknown = JSON.parse(String(metadata?.annotations?.[PROFILES_ANNOTATION]))
    const renewed = Date.parse(String(spec?.renewTime))
    return Number.isNaN(renewed) ? undefined : { renewed, profiles: new Set(Object.keys(profiles ?? {})) }
  } catch {
    return undefined
  }
}

/** Whether a report is still believed. Clocks of nodes may differ, to either side. @param now milliseconds since the epoch */
export const isFresh = ({ renewed }: NodeReport, now: number): boolean =>
  Math.abs(now - renewed) < REPORT_SECONDS * 1000
