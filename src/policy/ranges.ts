import { shorten } from '../kube/text.ts'
import type { NumberRange } from './profile.ts'

/** Room for a list in the `required` of a violation. */
const MAX_WORDS = 40

export const isInRanges = (value: number, ranges: readonly NumberRange[]): boolean =>
  ranges.some(({ min, max }) => value >= min && value <= max)

/** Ranges as a person reads them: `1000-1999, 5000`; shortened. */
export const describeRanges = (ranges: readonly NumberRange[]): string =>
  describeList(ranges.map(({ min, max }) => (min === max ? String(min) : `${min}-${max}`)))

/** The values of a setting in the `required` of a violation; shortened. */
export const describeList = (values: readonly string[]): string => shorten(values.join(', '), MAX_WORDS)
