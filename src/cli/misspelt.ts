/** Names of ours that nobody reads, because a letter is wrong: said offline, where the API server would take them in silence. */
import { EXCEPTION_ANNOTATION, GROUP, LABEL } from '../kube/names.ts'
import { printable } from '../kube/text.ts'

const LABELS: readonly string[] = Object.values(LABEL)
const ALL: readonly string[] = [...LABELS, EXCEPTION_ANNOTATION]

/** A name that is longer is no slip of the keyboard; comparing it would only cost time. */
const MAX_KEY = 64
/** So many letters apart, two names are two names. */
const MAX_DISTANCE = 3
const MAX_SAID = 80
/** Of one object. */
const MAX_WARNINGS = 10

/** Warnings about the keys of a namespace's labels, one line each without the name of the namespace. */
export const misspeltLabels = (keys: Iterable<string>): readonly string[] => warnings('label', keys, LABELS)

/** Warnings about the keys of a pod's annotations. */
export const misspeltAnnotations = (keys: Iterable<string>): readonly string[] =>
  warnings('annotation', keys, [EXCEPTION_ANNOTATION])

/** The one of `names` that was probably meant, or undefined where none is near. */
export const nearest = (text: string, names: Iterable<string>): string | undefined => {
  if (text.length > MAX_KEY) return undefined
  const [first] = [...names]
    .map((name) => ({ name, distance: distance(text, name) }))
    .filter((one) => one.distance <= MAX_DISTANCE)
    .sort((a, b) => a.distance - b.distance)
  return first?.name
}

const warnings = (what: string, keys: Iterable<string>, known: readonly string[]): readonly string[] =>
  [...keys].flatMap((key) => misspelt(what, key, known)).slice(0, MAX_WARNINGS)

function misspelt(what: string, key: string, known: readonly string[]): readonly string[] {
  if (known.includes(key)) return []
  const slash = key.indexOf('/')
  const prefix = slash < 0 ? '' : key.slice(0, slash)
  const near = nearest(key, known)
  const ours = prefix === GROUP
  // Other people's names are near ours by accident only where the whole name is.
  if (!ours && (near === undefined || nearest(prefix, [GROUP]) === undefined)) return []
  const elsewhere = ALL.includes(key) ? ` as ${what === 'label' ? 'a label' : 'an annotation of a pod'}` : ''
  const hint =
    near === undefined
      ? known.length === 1
        ? `; known is ${known[0]}`
        : `; known are ${known.join(', ')}`
      : `; did you mean ${near}?`
  return [`${what} ${printable(key, MAX_SAID)} means nothing${elsewhere}${hint}`]
}

/** Letters to insert, remove or replace (Levenshtein). Both are short. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
