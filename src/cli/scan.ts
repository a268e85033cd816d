/** `drawbridge scan`: what the webhook would say of the pods that exist, by the same engine and in the same words. */
import { LABEL } from '../kube/names.ts'
import type { Labels } from '../kube/types.ts'
import { podAsCreated } from '../mutation/index.ts'
import type { CompiledProfile } from '../policy/compileProfile.ts'
import type { Exemptions } from '../policy/exemptions.ts'
import { judgeExisting } from '../policy/judgeExisting.ts'
import type { JudgeContext } from '../policy/judgeExisting.ts'
import type { NamespacePolicy } from '../policy/types.ts'
import { EXIT, UnusableError } from './io.ts'
import type { CliIo } from './io.ts'
import { misspeltLabels } from './misspelt.ts'
import { refuseUnknownProfile } from './profiles.ts'
import { emptyTally } from './scanTally.ts'
import type { ScanTally } from './scanTally.ts'
import { scanReport } from './scanReport.ts'

export interface ScanOptions {
  /** Judge these instead of every namespace that opted in. */
  readonly namespaces: readonly string[]
  readonly allNamespaces: boolean
  /** What if this profile were enforced there? */
  readonly profile?: string | undefined
  readonly output: 'table' | 'details' | 'json'
}

/** A pod that exists. */
export interface ScannedPod {
  readonly namespace: string
  readonly name: string
  /** `Deployment/web`, or `Pod/web` for a pod that nobody owns. */
  readonly workload: string
  /** As the API server gave it, unchecked. */
  readonly object: unknown
}

/** The cluster, as far as a scan needs it. */
export interface ScanAccess {
  /** Labels by name: of the namespaces asked for, or of all. Rejects for one that does not exist. */
  namespaces(names?: readonly string[]): Promise<ReadonlyMap<string, Labels>>
  /** The pods of one namespace, or of all, in pages. Ends early when `signal` aborts. */
  pods(namespace?: string): AsyncIterable<readonly ScannedPod[]>
  /** What labels ask for, as the server resolves them. */
  readonly resolvePolicy: (labels: Labels) => NamespacePolicy
  /** Names of the AdmissionProfiles that `resolvePolicy` knows. */
  readonly profileNames: readonly string[]
  /** Verdicts as they are now, and what else the judge needs. */
  readonly judging: JudgeContext
  /** What could not be read, one line each. */
  readonly notes: readonly string[]
  /** Aborts when the person at the keyboard has seen enough. */
  readonly signal: AbortSignal
  close(): Promise<void>
}

/** Connects to the cluster of a kubeconfig, or to the one that this pod runs in. Ctrl-C from then on aborts its signal. */
export type OpenScan = (options: {
  readonly kubeconfig?: string | undefined
  readonly podSecurityLabels: boolean
  /** Stand in for those of the cluster that have the same name. */
  readonly profiles: ReadonlyMap<string, CompiledProfile>
  readonly exemptions?: Exemptions | undefined
}) => Promise<ScanAccess>

/** One namespace and what its pods are judged by. */
interface ScannedNamespace {
  readonly name: string
  readonly policy: NamespacePolicy
}

/** The API server never asks the webhook about it (manifests/webhooks.ts), so it is judged only when it is asked for. */
export const NEVER_SENT = 'kube-system'

/** Lines about labels that mean nothing: a cluster of thousands of namespaces copies a mistake. */
const MAX_MISSPELT = 20

/** Between two lines of progress where they cannot overwrite each other, in milliseconds. */
const PROGRESS_EVERY = 5000
/** Between two updates of the one line on a terminal. */
const PROGRESS_EVERY_ON_TERMINAL = 200

/**
 * Runs the command. Returns the exit code: 0 nothing would be denied, 1 something would be. Throws UnusableError (2) when the
 * question makes no sense, the cluster cannot be read to the end, or somebody stopped the scan before it found anything; what was found until then
 * is printed first.
 */
export async function scan(options: ScanOptions, access: ScanAccess, io: CliIo): Promise<number> {
  refuseNonsense(options)
  for (const note of access.notes) io.err(`drawbridge: ${note}\n`)
  const whatIf = options.profile === undefined ? undefined : whatIfLabels(options.profile, access)
  const policyOf = (labels: Labels): NamespacePolicy => access.resolvePolicy(whatIf ? whatIf(labels) : labels)

  const tally = emptyTally()
  const progress = showProgress(io, tally)
  let failure: string | undefined
  try {
    const chosen = await chooseNamespaces(options, access, policyOf, io)
    for (const { name, policy } of chosen) tally.expect(name, policy)
    if (options.allNamespaces) {
      const policies = new Map(chosen.map(({ name, policy }) => [name, policy]))
      // A namespace made since the list of namespaces was read is judged like one without labels.
      const other = policyOf({})
      for await (const page of access.pods()) judgePage(page, (name) => policies.get(name) ?? other)
    } else {
      for (const { name, policy } of chosen) {
        if (access.signal.aborted) break
        for await (const page of access.pods(name)) judgePage(page, () => policy)
        tally.finish(name)
      }
    }
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error)
  }
  progress.end()
  const complete = failure === undefined && !access.signal.aborted
  if (complete || tally.counts().pods > 0) io.out(scanReport(tally, complete, options.output))
  if (failure !== undefined) throw new UnusableError(failure)
  const found = tally.counts().denied > 0
  if (!complete && !found) throw new UnusableError('stopped before all pods were judged')
  if (!complete) io.err('drawbridge: stopped before all pods were judged; above is what was found so far\n')
  return found ? EXIT.no : EXIT.ok

  function judgePage(page: readonly ScannedPod[], policyFor: (namespace: string) => NamespacePolicy): void {
    for (const { namespace, name, workload, object } of page) {
      const policy = policyFor(namespace)
      // A pod that exists with a mirror's annotation is one: the API server takes it from nobody but a kubelet.
      const again = podAsCreated(object, {
        seccomp: policy.seccomp,
        hardening: policy.hardening,
        requesterIsNode: true,
      })
      tally.add({ namespace, name, workload }, judgeExisting(again, namespace, policy, access.judging))
    }
    progress.update()
  }
}

function refuseNonsense({ namespaces, allNamespaces, profile }: ScanOptions): void {
  if (allNamespaces && namespaces.length > 0)
    throw new UnusableError('--all-namespaces and --namespace exclude each other')
  if (allNamespaces && profile === undefined)
    throw new UnusableError(
      '--all-namespaces asks what if: give --profile too (without both, every namespace that opted in is judged)',
    )
}

/** The labels of a namespace if it enforced `profile` at the latest version. Throws UnusableError for a profile that nobody knows. */
function whatIfLabels(profile: string, access: ScanAccess): (labels: Labels) => Labels {
  refuseUnknownProfile(profile, access.profileNames)
  const changed = (labels: Labels): Labels => ({
    ...labels,
    [LABEL.enforce]: profile,
    [LABEL.enforceVersion]: 'latest',
  })
  const [problem] = access.resolvePolicy(changed({})).problems
  if (problem !== undefined) throw new UnusableError(`--profile ${profile}: ${problem}`)
  return changed
}

async function chooseNamespaces(
  { namespaces, allNamespaces, profile }: ScanOptions,
  access: ScanAccess,
  policyOf: (labels: Labels) => NamespacePolicy,
  io: CliIo,
): Promise<readonly ScannedNamespace[]> {
  const names = [...new Set(namespaces)]
  const labels = await access.namespaces(names.length === 0 ? undefined : names)
  const all = [...labels]
    .map(([name, found]) => ({ name, policy: policyOf(found), asks: asksForAnswers(access.resolvePolicy(found)) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  // A misspelt label in the cluster changes what is enforced: it is said for every namespace that is judged.
  const chosen = all.filter(
    ({ name, asks }) =>
      allNamespaces ||
      (names.length > 0 && (asks || profile !== undefined)) ||
      (names.length === 0 && asks && name !== NEVER_SENT),
  )
  for (const { name, policy } of chosen)
    for (const problem of policy.problems) io.err(`drawbridge: namespace ${name}: ${problem}\n`)
  const misspelt = [...labels].flatMap(([name, found]) =>
    misspeltLabels(Object.keys(found)).map((warning) => `namespace ${name}: ${warning}`),
  )
  for (const line of misspelt.slice(0, MAX_MISSPELT)) io.err(`drawbridge: ${line}\n`)
  for (const { name } of chosen.filter((one) => access.judging.exemptions?.namespaces.has(one.name)))
    io.err(`drawbridge: namespace ${name} is exempt by the configuration: no check is for it, only verdicts\n`)
  for (const { name } of names.length === 0 ? [] : all.filter((one) => !chosen.includes(one)))
    io.err(`drawbridge: namespace ${name} asks for nothing; --profile NAME says what a profile would find there\n`)
  if (chosen.length === 0 && names.length === 0 && !access.signal.aborted)
    io.err(
      `drawbridge: no namespace has opted in (label ${LABEL.enforce}); --all-namespaces --profile standard says what would happen\n`,
    )
  return chosen
}

/** Whether pods of the namespace can be denied, warned about or audited; injection alone judges nobody. */
const asksForAnswers = ({ enforce, warn, audit, quarantine, problems }: NamespacePolicy): boolean =>
  enforce !== undefined || warn !== undefined || audit !== undefined || quarantine !== 'off' || problems.length > 0

/** Says on stderr how far the scan is: one line that changes on a terminal, else a line now and then. */
function showProgress(io: CliIo, tally: ScanTally): { update(): void; end(): void } {
  const onTerminal = io.errIsTerminal === true
  const every = onTerminal ? PROGRESS_EVERY_ON_TERMINAL : PROGRESS_EVERY
  let last = io.now()
  let shown = false
  return {
    update() {
      const now = io.now()
      if (now - last < every) return
      last = now
      shown = true
      const { pods, denied, namespaces, finished } = tally.counts()
      const where = finished === 0 ? '' : ` in ${finished} of ${namespaces} namespaces`
      const line = `judged ${pods} pods${where}; ${denied} would be denied`
      io.err(onTerminal ? `\r\u001b[K${line}` : `drawbridge: ${line}\n`)
    },
    end() {
      if (onTerminal && shown) io.err('\r\u001b[K')
    },
  }
}
