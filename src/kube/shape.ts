/**
 * What JSON should look like, as plain data. `null` counts as absent, because the API server drops nulls.
 * Fields that a shape does not name are not looked at, unless `others` says what they must be.
 */
export type Shape =
  | 'string'
  | 'boolean'
  | 'integer'
  /** Any object that is not a list. */
  | 'object'
  /** A list; its elements may not be null. */
  | { readonly list: Shape; readonly atLeastOne?: boolean }
  /** An object whose every value has one shape; keys come from outside. */
  | { readonly map: Shape }
  | {
      readonly fields: Readonly<Record<string, Shape>>
      readonly required?: readonly string[]
      readonly others?: Shape
    }

/** The first wrong place: `path` starts with `.field`, `[0]` or `["key"]`, or is empty for the value itself. */
export interface Mismatch {
  readonly path: string
  readonly wanted: string
  readonly found: string
}

/** Undefined: the value has the shape. Linear in the value; as deep as the shape, however deep the value is. */
export type ShapeCheck = (value: unknown) => Mismatch | undefined

/** The kind of a JSON value in words, never the value itself. */
export const describeValue = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Whether a JSON value is an object (not null, not a list). */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Turns a shape into a function once, so that checking costs no interpretation of the shape. */
export const compileShape = (shape: Shape): ShapeCheck => {
  if (typeof shape === 'string') return PRIMITIVES[shape]
  if ('list' in shape) return list(shape.list, shape.atLeastOne ?? false)
  if ('map' in shape) return map(shape.map)
  return fields(shape.fields, shape.required ?? [], shape.others)
}

const wrong = (wanted: string, value: unknown): Mismatch => ({ path: '', wanted, found: describeValue(value) })

const below = (step: string, mismatch: Mismatch): Mismatch => ({ ...mismatch, path: `${step}${mismatch.path}` })

const PRIMITIVES: Readonly<Record<'string' | 'boolean' | 'integer' | 'object', ShapeCheck>> = {
  string: (value) => (value == null || typeof value === 'string' ? undefined : wrong('a string', value)),
  boolean: (value) => (value == null || typeof value === 'boolean' ? undefined : wrong('a boolean', value)),
  integer: (value) => (value == null || Number.isInteger(value) ? undefined : wrong('an integer', value)),
  object: (value) => (value == null || isObject(value) ? undefined : wrong('an object', value)),
}

const list = (element: Shape, atLeastOne: boolean): ShapeCheck => {
  const check = compileShape(element)
  const wantedElement = wantedBy(element)
  return (value) => {
    if (value == null) return undefined
    if (!Array.isArray(value)) return wrong('a list', value)
    if (atLeastOne && value.length === 0) return wrong('a list with at least one element', value)
    // By index: this runs for everything in every review, and an iterator's pairs cost more than the checks.
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      const mismatch = item == null ? wrong(wantedElement, item) : check(item)
      if (mismatch) return below(`[${index}]`, mismatch)
    }
    return undefined
  }
}

const map = (entry: Shape): ShapeCheck => {
  const check = compileShape(entry)
  return (value) => {
    if (value == null) return undefined
    if (!isObject(value)) return wrong('an object', value)
    for (const key of Object.keys(value)) {
      const mismatch = check(value[key])
      if (mismatch) return below(`["${key}"]`, mismatch)
    }
    return undefined
  }
}

const fields = (
  shapes: Readonly<Record<string, Shape>>,
  required: readonly string[],
  others: Shape | undefined,
): ShapeCheck => {
  const known = Object.entries(shapes).map(([name, shape]) => ({
    name,
    check: compileShape(shape),
    required: required.includes(name),
    wanted: wantedBy(shape),
    // What `typeof` alone can tell needs no call: most fields are texts, and this runs for everything in every review.
    type: shape === 'string' || shape === 'boolean' ? shape : undefined,
  }))
  const names = new Set(Object.keys(shapes))
  const checkOther = others === undefined ? undefined : compileShape(others)
  return (value) => {
    if (value == null) return undefined
    if (!isObject(value)) return wrong('an object', value)
    for (const field of known) {
      // Read as the checks read it. `__proto__` in parsed JSON is a plain own key and lends nothing.
      const found = value[field.name]
      if (found == null) {
        if (field.required) return below(`.${field.name}`, wrong(field.wanted, found))
        continue
      }
      const mismatch = typeof found === field.type ? undefined : field.check(found)
      if (mismatch) return below(`.${field.name}`, mismatch)
    }
    if (checkOther) {
      for (const key of Object.keys(value)) {
        const mismatch = names.has(key) ? undefined : checkOther(value[key])
        if (mismatch) return below(`.${key}`, mismatch)
      }
    }
    return undefined
  }
}

const wantedBy = (shape: Shape): string => {
  if (shape === 'integer' || shape === 'object') return `an ${shape}`
  if (typeof shape === 'string') return `a ${shape}`
  if ('list' in shape) return shape.atLeastOne === true ? 'a list with at least one element' : 'a list'
  return 'an object'
}
