/** Whether figures meet their goals. */
import type { Figure, Goal } from './types.ts'

/** How a value stands to its goal: 1 and above meets it, 0.5 misses it by half. NaN where there is nothing to compare. */
export function share(value: number, goal: Goal): number {
  if ('atLeast' in goal) return value / goal.atLeast
  // None at all, where none is the most that may be.
  return value === 0 && goal.atMost === 0 ? 1 : goal.atMost / value
}

/** `>= 0.8 x` */
export function describeGoal({ goal, unit }: Pick<Figure, 'goal' | 'unit'>): string {
  if (goal === undefined) return ''
  const text = 'atLeast' in goal ? `>= ${goal.atLeast.toLocaleString('en')}` : `<= ${goal.atMost.toLocaleString('en')}`
  return `${text} ${unit}`.trim()
}

/** `1,234`, `12.3`, `0.123` */
export function describeValue(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(value >= 10 ? 1 : 2)
}

/** Those with a goal of which they reach less than this part. What could not be measured has failed. */
export function failing(figures: readonly Figure[], part: number): readonly Figure[] {
  return figures.filter(({ value, goal }) => goal !== undefined && !(share(value, goal) >= part))
}

/** The worst value that reaches this part of the goal, as `>= 0.56 x`. */
export function describeLimit({ goal, unit }: Pick<Figure, 'goal' | 'unit'>, part: number): string {
  if (goal === undefined) return ''
  const rounded = (value: number): number => Number(value.toPrecision(3))
  return describeGoal({
    unit,
    goal: 'atLeast' in goal ? { atLeast: rounded(goal.atLeast * part) } : { atMost: rounded(goal.atMost / part) },
  })
}
