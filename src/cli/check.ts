/** `drawbridge check`: what the webhook would do to objects in files, by the same engine and in the same words, without a cluster. */
import jsonPatch from 'fast-json-patch'
import { findPodTemplate } from '../kube/podTemplate.ts'
import { checkPodShape } from '../kube/podShape.ts'
import { LABEL } from '../kube/names.ts'
import type { GroupVersionKind, Labels, Pod } from '../kube/types.ts'
import { mutatePod } from '../mutation/index.ts'
import { judge } from '../policy/judge.ts'
import type { JudgeContext } from '../policy/judgeExisting.ts'
import { resolveNamespace } from '../policy/namespace.ts'
import { exceptionsAmong } from './exceptions.ts'
import { clean, EXIT, UnusableError, wrap } from './io.ts'
import type { ResolveOptions } from '../policy/namespace.ts'
import type { CliIo } from './io.ts'
import { namespaceLabels } from './namespaces.ts'
import { misspeltAnnotations, misspeltLabels } from './misspelt.ts'
import { readObjects, reviewedObject } from './objects.ts'
import type { FoundObject } from './objects.ts'
import { profilesAmong, refuseUnknownProfile } from './profiles.ts'

export interface CheckOptions {
  readonly files: readonly string[]
  /** For objects that name no namespace. */
  readonly namespace: string
  /** `key=value`, for namespaces that the input does not describe. */
  readonly namespaceLabels: readonly string[]
  readonly profile?: string | undefined
  /** Files and folders with AdmissionException objects, beside those that `files` hold. */
  readonly exceptions?: readonly string[] | undefined
  /** Files and folders of AdmissionProfile objects, beside those in the input. */
  readonly profiles?: readonly string[] | undefined
  /** Whether `pod-security.kubernetes.io/*` labels count too. */
  readonly podSecurityLabels: boolean
  readonly output: 'text' | 'json'
}

/** What would happen to one object. `docs/check.md` shows it as JSON: fields are added, never renamed. */
export interface CheckedObject {
  readonly file: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly result: 'allowed' | 'denied' | 'not-concerned'
  /** JSON Patch that the mutating webhook would answer. */
  readonly patch: readonly unknown[]
  readonly message?: string | undefined
  readonly warnings: readonly string[]
  readonly checks: readonly string[]
  /** Names of the exceptions that it needs to be allowed. */
  readonly exceptionsUsed: readonly string[]
}

function labelsFrom(pairs: readonly string[]): Labels {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=')
      if (equals < 1) throw new UnusableError(`--namespace-label ${pair}: wanted key=value`)
      return [pair.slice(0, equals), pair.slice(equals + 1)]
    }),
  )
}

function kindOf({ apiVersion, kind }: FoundObject['object']): GroupVersionKind {
  const slash = apiVersion.lastIndexOf('/')
  return { group: slash < 0 ? '' : apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1), kind }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/**
 * Judges one object as the pod (or the pods of the workload) that it would become.
 * A workload itself is only warned about in a cluster; its pods are what is denied, so that is what is said here.
 */
export function checkObject(
  { file, object }: FoundObject,
  namespace: string,
  labels: Labels,
  resolving: ResolveOptions,
  granted: Pick<JudgeContext, 'exceptions' | 'now'> = {},
): CheckedObject {
  const metadata = object['metadata'] as { name?: unknown; generateName?: unknown } | null | undefined
  const name = text(metadata?.name) || text(metadata?.generateName) || '(no name)'
  const about = { file, kind: object.kind, namespace, name, exceptionsUsed: [] }
  const found = findPodTemplate(kindOf(object), object)
  if (found === undefined) return { ...about, result: 'not-concerned', patch: [], warnings: [], checks: [] }

  const policy = resolveNamespace(labels, resolving)
  const problem = checkPodShape(found.metadata, found.spec, found.path)
  if (problem !== undefined) {
    return {
      ...about,
      result: 'denied',
      patch: [],
      message: `drawbridge: not a pod: ${problem}`,
      warnings: [],
      checks: ['malformed'],
    }
  }
  const pod = { metadata: found.metadata, spec: found.spec } as Pod
  const patch = mutatePod(pod, { seccomp: policy.seccomp, hardening: policy.hardening, requesterIsNode: false })
  const mutated = jsonPatch.applyPatch(structuredClone(pod), structuredClone(patch) as never).newDocument
  const judgement = judge({
    ...granted,
    policy,
    request: {
      uid: 'check',
      operation: 'CREATE',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace,
      name,
      object: mutated,
    },
  })
  return {
    ...about,
    result: judgement.allowed ? 'allowed' : 'denied',
    patch,
    message: judgement.allowed ? undefined : judgement.message,
    warnings: [...judgement.warnings, ...misspeltAnnotations(Object.keys(pod.metadata?.annotations ?? {}))],
    checks: [...new Set(judgement.violations.map((violation) => violation.check))],
    exceptionsUsed: judgement.exceptionsUsed,
  }
}

/** The text for people: a line for each object, below it what would be changed and why it would be denied, then the numbers. */
function asText(objects: readonly CheckedObject[], columns: number | undefined): string {
  const blocks = objects.flatMap((one) => {
    if (one.result === 'not-concerned') return []
    const whose = one.kind === 'Pod' ? '' : ' (its pods)'
    const patch = one.patch.map((operation) => {
      const { path, value } = operation as { path: string; value: unknown }
      return `  mutated: ${path} = ${JSON.stringify(value)}`
    })
    const message = one.message === undefined ? [] : one.message.split('\n').map((line) => `  ${line}`)
    const exceptions = one.exceptionsUsed.map((name) => `  allowed by exception: ${name}`)
    const warnings = one.warnings.map((warning) => `  warning: ${warning}`)
    const details = [...patch, ...message, ...exceptions, ...warnings].map((line) => wrap(clean(line), columns, 4))
    return [
      clean(`${one.result.padEnd(7)}  ${one.kind} ${one.namespace}/${one.name}${whose}  ${one.file}`),
      ...details,
      '',
    ]
  })
  const count = (result: CheckedObject['result']): number => objects.filter((one) => one.result === result).length
  const without = count('not-concerned')
  const numbers = `${count('allowed')} allowed, ${count('denied')} denied${without === 0 ? '' : `, ${without} without pods`}`
  return [...blocks, numbers].map((line) => `${line}\n`).join('')
}

/** Kinds that are here to judge others by. */
const JUDGED_BY = new Set(['Namespace', 'AdmissionProfile', 'AdmissionException'])

/** The objects of the input, and which of the paths hold nothing that could be judged: somebody expected them to be checked. */
async function readInput(
  paths: readonly string[],
  io: CliIo,
): Promise<{ readonly objects: readonly FoundObject[]; readonly withoutPods: readonly string[] }> {
  const inputs: { readonly name: string; readonly objects: readonly FoundObject[] }[] = []
  for (const path of paths)
    inputs.push({ name: nameOf(path), objects: (await readObjects([path], io)).map(reviewedObject) })
  const judgeable = ({ object }: FoundObject): boolean => findPodTemplate(kindOf(object), object) !== undefined
  // What others are judged by is read for their sake: alone it is as if nothing had been asked.
  const alone = !inputs.some(({ objects }) => objects.some(judgeable))
  const expected = (one: FoundObject): boolean => judgeable(one) || (!alone && JUDGED_BY.has(one.object.kind))
  return {
    objects: inputs.flatMap(({ objects }) => objects),
    withoutPods: inputs.flatMap(({ name, objects }) => (objects.some(expected) ? [] : [name])),
  }
}

const nameOf = (path: string): string => (path === '-' ? 'standard input' : path)

/** Runs the command. Returns the exit code: 0 all allowed, 1 something would be denied. Throws UnusableError for 2. */
export async function check(options: CheckOptions, io: CliIo): Promise<number> {
  const { objects, withoutPods } = await readInput(options.files, io)
  if (objects.length === 0)
    throw new UnusableError(`${options.files.map(nameOf).join(', ')}: no Kubernetes objects found`)
  const described = namespaceLabels(objects)
  for (const [name, labels] of described)
    for (const warning of misspeltLabels(Object.keys(labels)))
      io.err(`drawbridge: namespace ${clean(name)}: ${warning}\n`)
  const exceptions = exceptionsAmong([...objects, ...(await readObjects(options.exceptions ?? [], io))])
  const granted = { exceptions: (name: string) => exceptions.get(name), now: io.now() }
  const profiles = profilesAmong([...objects, ...(await readObjects(options.profiles ?? [], io))])
  if (options.profile !== undefined) refuseUnknownProfile(options.profile, profiles.keys())
  const given = labelsFrom(options.namespaceLabels)
  for (const warning of misspeltLabels(Object.keys(given))) io.err(`drawbridge: --namespace-label: ${warning}\n`)
  const asked: Labels = options.profile === undefined ? given : { ...given, [LABEL.enforce]: options.profile }
  // Nobody checks files in order to hear that nothing is asked of them.
  const fallback: Labels = { [LABEL.enforce]: 'standard', ...asked }
  // What a namespace in the input leaves open is filled in by what was asked for, not by a default that nobody asked for.
  const labelsOf = (namespace: string): Labels => {
    const found = described.get(namespace)
    return found === undefined ? fallback : { ...asked, ...found }
  }
  const resolving = {
    podSecurityLabels: options.podSecurityLabels,
    profiles: (name: string) => profiles.get(name),
  }
  const results = objects.map((one) => {
    const metadata = one.object['metadata'] as { namespace?: unknown } | null | undefined
    const namespace = text(metadata?.namespace) || options.namespace
    return checkObject(one, namespace, labelsOf(namespace), resolving, granted)
  })
  for (const name of withoutPods) io.err(`drawbridge: ${clean(name)}: nothing to judge: no pods and no workloads\n`)
  io.out(
    options.output === 'json' ? `${JSON.stringify({ objects: results }, undefined, 2)}\n` : asText(results, io.columns),
  )
  return results.some((one) => one.result === 'denied') ? EXIT.no : EXIT.ok
}
