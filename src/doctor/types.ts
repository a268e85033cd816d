/** What a check of `drawbridge doctor` sees and says. */
import type { LiveConfigurations } from '../../manifests/differences.ts'
import type { Right } from '../../manifests/rights.ts'
import type { QuarantineScope } from '../kube/webhookEntries.ts'
import type { Metrics } from './metrics.ts'

/** `unknown`: could not be looked at; the text says why. */
export type Level = 'problem' | 'warning' | 'unknown' | 'ok'

export interface Finding {
  readonly level: Level
  /** One sentence: what was found. */
  readonly found: string
  /** What to do: a command, or a sentence where there is none. Always there for a problem and a warning. */
  readonly todo?: string | undefined
}

/** An object of the API, unchecked; `unreadable`: why nobody knows whether it is there. */
export type Reading =
  | { readonly kind: 'found'; readonly object: unknown }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly why: string }

export type ListReading =
  | { readonly kind: 'found'; readonly items: readonly unknown[] }
  /** The API server does not know this kind of object. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable'; readonly why: string }

/** Who acts, for the API server. */
export interface Subject {
  readonly user: string
  readonly groups: readonly string[]
}

/** What one running server says of itself; `why`: nothing, and why. */
export interface Replica {
  readonly name: string
  readonly metrics?: Metrics | undefined
  readonly why?: string | undefined
}

/** The API server with the rights of whoever asks. Nothing is ever changed. No function rejects. */
export interface ClusterReader {
  get(path: string): Promise<Reading>
  /** Every object below a path, all pages. */
  list(path: string): Promise<ListReading>
  /** Creates an object as a dry run; status 0: no answer. */
  dryRun(path: string, body: unknown): Promise<{ readonly status: number; readonly message: string }>
  /** Whether somebody may do something; undefined: whoever asks may not ask this. */
  mayDo(subject: Subject, right: Right): Promise<boolean | undefined>
  /** Whoever asks; undefined: the API server does not say. */
  whoAmI(): Promise<Subject | undefined>
  /** The pods of the installation, asked through the API server. */
  replicas(namespace: string): Promise<readonly Replica[]>
}

/** A server with its data folder on this machine (`--data`). */
export interface LocalServer {
  readonly webhook: string
  /** File of the CA. */
  readonly ca: string
  readonly replica: Replica
  /** Lines of `/readyz?verbose`. */
  readonly health: readonly string[]
}

/** What every check is given. */
export interface Installation {
  readonly reader: ClusterReader
  /** The namespace that Drawbridge runs in. */
  readonly namespace: string
  /** Who the guard of verdicts takes Drawbridge for. */
  readonly user: string
  /** How it was installed, as far as the cluster says: by the chart, by plain manifests, or it runs outside and is called by URL. */
  readonly kind: 'helm' | 'manifests' | 'outside'
  /** The Deployment or StatefulSet. */
  readonly workload: Reading
  /** The registered webhook configurations; undefined: they cannot be read, `configurationsWhy` says why. */
  readonly configurations?: LiveConfigurations | undefined
  readonly configurationsWhy: string
  readonly podSecurityLabels: boolean
  readonly scope: QuarantineScope
  readonly replicas: readonly Replica[]
  /** A command that installs this version again over what is there. */
  readonly repair: string
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Version of this program. */
  readonly version: string
}

/** One thing that is looked at. Must not reject. */
export interface Check {
  /** As it is shown: one word. */
  readonly id: string
  readonly run: (installation: Installation) => Promise<readonly Finding[]>
}
