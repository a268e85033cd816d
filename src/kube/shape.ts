/**
 * Whether JSON looks as it should. `null` counts as absent, because the API server drops nulls. Fields that nobody asks for are not looked at.
 *
 * Shapes are code, not data: each field is read at a place of its own, which V8 then knows the layout of. One loop over tables of names cost more than all
 * checks of a pod together (docs/performance.md).
 */

/** The first wrong place: `path` starts with `.field`, `[0]` or `["key"]`, or is empty for the value itself. */
export interface Mismatch {
  readonly path: string
  readonly wanted: string
  readonly found: string
}

/** Undefined: the value is absent or has the shape. Linear in the value; as deep as the shape, however deep the value is. `step` is where the value stands. */
export type Shape = (value: unknown, step: string) => Mismatch | undefined

/** The fields of an object. `__proto__` in parsed JSON is a plain own key and lends nothing. */
export type Fields = Readonly<Record<string, unknown>>

/** The kind of a JSON value in words, never the value itself. */
export const describeValue = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Whether a JSON value is an object (not null, not a list). */
export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const wrong = (path: string, wanted: string, value: unknown): Mismatch => ({
  path,
  wanted,
  found: describeValue(value),
})

const below = (step: string, mismatch: Mismatch): Mismatch => ({ ...mismatch, path: `${step}${mismatch.path}` })

export const string: Shape = (value, step) =>
  value == null || typeof value === 'string' ? undefined : wrong(step, 'a string', value)

export const boolean: Shape = (value, step) =>
  value == null || typeof value === 'boolean' ? undefined : wrong(step, 'a boolean', value)

export const integer: Shape = (value, step) =>
  value == null || Number.isInteger(value) ? undefined : wrong(step, 'an integer', value)

/** Any object that is not a list. */
export const anyObject: Shape = (value, step) =>
  value == null || isObject(value) ? undefined : wrong(step, 'an object', value)

/** An object whose fields `look` looks at. */
export const object =
  (look: (fields: Fields) => Mismatch | undefined): Shape =>
  (value, step) => {
    if (value == null) return undefined
    if (!isObject(value)) return wrong(step, 'an object', value)
    const mismatch = look(value)
    return mismatch && below(step, mismatch)
  }

/** Refuses what is absent. @param wanted what is wanted in its place */
export const required =
  (wanted: string, shape: Shape): Shape =>
  (value, step) =>
    value == null ? wrong(step, wanted, value) : shape(value, step)

/** A list. */
export const list =
  (element: Shape): Shape =>
  (value, step) => {
    if (value == null) return undefined
    if (!Array.isArray(value)) return wrong(step, 'a list', value)
    // By index: this runs for everything in every review, and an iterator's pairs cost more than the checks.
    for (let index = 0; index < value.length; index++) {
      const mismatch = element(value[index], '')
      if (mismatch) return below(`${step}[${index}]`, mismatch)
    }
    return undefined
  }

/** The same with at most so many elements. */
export const shortList = (most: number, check: Shape): Shape => {
  const wanted = `a list of at most ${most}`
  return (value, step) =>
    Array.isArray(value) && value.length > most ? { path: step, wanted, found: `${value.length}` } : check(value, step)
}

const AT_LEAST_ONE = 'a list with at least one element'

/** A list that is there and not empty. */
export const filledList = (element: Shape): Shape => {
  const check = list(element)
  return (value, step) =>
    value == null || (Array.isArray(value) && value.length === 0)
      ? wrong(step, AT_LEAST_ONE, value)
      : check(value, step)
}

/** An object whose every value has one shape, but for the keys in `except`; keys come from outside. */
export const map =
  (entry: Shape, except?: ReadonlySet<string>): Shape =>
  (value, step) => {
    if (value == null) return undefined
    if (!isObject(value)) return wrong(step, 'an object', value)
    for (const key of Object.keys(value)) {
      const mismatch = except?.has(key) === true ? undefined : entry(value[key], '')
      if (mismatch) return below(`${step}${except === undefined ? `["${key}"]` : `.${key}`}`, mismatch)
    }
    return undefined
  }

export const requiredString: Shape = required('a string', string)

export const strings: Shape = list(requiredString)
