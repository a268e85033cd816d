import type { Labels } from './types.ts'

/** One term of a label selector (`matchExpressions`). */
export interface LabelTerm {
  readonly key: string
  readonly operator: 'Exists' | 'DoesNotExist' | 'In' | 'NotIn'
  /** Of `In` and `NotIn`. */
  readonly values?: readonly string[]
}

const HOLDS: Readonly<
  Record<LabelTerm['operator'], (value: string | undefined, values: readonly string[]) => boolean>
> = {
  Exists: (value) => value !== undefined,
  DoesNotExist: (value) => value === undefined,
  In: (value, values) => value !== undefined && values.includes(value),
  NotIn: (value, values) => value === undefined || !values.includes(value),
}

/** Whether labels satisfy every term, as the API server reads them: `NotIn` holds for an absent key too. Pure; never throws. */
export const matchesLabels = (terms: readonly LabelTerm[], labels: Labels): boolean =>
  terms.every(({ key, operator, values = [] }) =>
    HOLDS[operator](Object.hasOwn(labels, key) ? labels[key] : undefined, values),
  )
