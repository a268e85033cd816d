/** A detector is what watched the kernel or the API, not the road the alert took: Falco direct and through Falcosidekick are one detector. */
export type Detector = 'falco' | 'k8s-audit' | 'tracee' | 'tetragon' | 'kubearmor'

/**
 * An alert of any sensor in one form. Every field except `detector`, `rule` and `time` is a claim by the sender:
 * in a cluster only ids are used, and they are looked up in the cluster's own pod statuses.
 * Strings are bounded by the decoders (512 characters; `rule` 256).
 */
export interface RuntimeAlert {
  readonly detector: Detector
  /** The endpoint it came by, for example `falcosidekick`. */
  readonly source: string
  readonly rule: string
  readonly priority: string
  readonly tags: readonly string[]
  /** MITRE ATT&CK techniques in capitals, for example `T1059.004`: Falco gives them as tags, Tracee as a property. */
  readonly techniques?: readonly string[] | undefined
  /** Time of the event, milliseconds since the epoch. */
  readonly time: number
  /** The event time as text in UTC, fraction padded to 9 digits: `2026-11-22T05:57:29.490412397Z`. Identity of a replay. */
  readonly timeText: string
  /** Node name as the sensor gives it; often wrong. */
  readonly node?: string | undefined
  /** Container id, 12 to 64 hex characters, or `host` for a process outside any container. */
  readonly containerId?: string | undefined
  readonly containerName?: string | undefined
  readonly namespace?: string | undefined
  readonly pod?: string | undefined
  readonly podUid?: string | undefined
  /** Image reference as claimed, for example `registry.example/shop/web:1.4.2`. */
  readonly image?: string | undefined
  /** `sha256:<64 hex>` (or sha384, sha512) as claimed. */
  readonly imageDigest?: string | undefined
  /** A shell of the image talks to a loopback address: see localShell.ts. Absent: no, or not known. */
  readonly localShell?: boolean | undefined
  /** What the alert is about, declared by the decoder (Falco: `proc.exepath`). Part of the key of repeats. */
  readonly target: string
  /** Whose credential it came with, and the only node whose containers that sender may accuse. Set at the endpoint, never by a decoder. */
  readonly credential?: { readonly name: string; readonly node?: string | undefined } | undefined
}

/** Codes are stable: they are metric labels and appear in `replay` output. */
export type RefusalCode =
  'not-json' | 'not-an-object' | 'rule-missing' | 'time-missing' | 'time-malformed' | 'fields-malformed' | 'too-large'

/** What a decoder makes of one item. Telemetry never weighs. */
export type Decoded =
  | { readonly kind: 'finding'; readonly alert: RuntimeAlert }
  | { readonly kind: 'telemetry'; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly message: string }

/** Bounds of one body. */
export interface BodyLimits {
  readonly maxBytes: number
  readonly maxItems: number
  /** Objects and arrays inside one another, the outermost counted. */
  readonly maxDepth: number
}

/** One sensor. Pure; never throws, whatever JSON it is given. */
export interface SensorSource {
  /** The last segment of `POST /alerts/<name>`. */
  readonly name: string
  readonly decode: (item: unknown) => Decoded
  /** Where bodies are larger or deeper than those of the other sensors. */
  readonly bodyLimits?: Partial<BodyLimits> | undefined
  /** It sends a whole batch again after any error: what cannot be read is counted, and answered 200 all the same. */
  readonly repeatsBatches?: true | undefined
}
