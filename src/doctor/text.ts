/** Words that several checks use. */
import { clean } from '../cli/io.ts'
import type { Finding, Reading } from './types.ts'

const SHOWN = 5

export const ok = (found: string): Finding => ({ level: 'ok', found })
export const problem = (found: string, todo: string): Finding => ({ level: 'problem', found, todo })
export const warning = (found: string, todo: string): Finding => ({ level: 'warning', found, todo })
export const unknown = (found: string, todo?: string): Finding => ({ level: 'unknown', found, todo })

/** The first five, and how many more. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).join(', ')
  return names.length > SHOWN ? `${shown} and ${names.length - SHOWN} more` : shown
}

/** `1 namespace`, `2 namespaces`. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`

/** A word of a shell command. Values come from the cluster: they must not become commands. */
export const word = (text: string): string => {
  const safe = clean(text)
  return /^[\w@%+=:,./-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", String.raw`'\''`)}'`
}

/** What an object holds at a path; undefined where it does not go so far. */
export function at(object: unknown, ...path: readonly (string | number)[]): unknown {
  let value = object
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Readonly<Record<string | number, unknown>>)[key]
  }
  return value
}

/** As `at`, where text stands there. */
export function textAt(object: unknown, ...path: readonly (string | number)[]): string | undefined {
  const value = at(object, ...path)
  return typeof value === 'string' ? value : undefined
}

export const nameIn = (object: unknown): string => textAt(object, 'metadata', 'name') ?? ''
export const objectOf = (reading: Reading): unknown => (reading.kind === 'found' ? reading.object : undefined)

/** The workload as kubectl takes it. */
export const resourceOf = (workload: Reading): string =>
  at(objectOf(workload), 'kind') === 'StatefulSet' ? 'statefulset/drawbridge' : 'deployment/drawbridge'
