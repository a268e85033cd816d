/** Alerts that wait for their container, in memory, and the share that one container has of the room for them (rule 10). */
import type { RuntimeAlert } from '../alerts/types.ts'
import { actTarget } from './contribute.ts'
import type { ParkedAlert } from './types.ts'

/** Of one sender, container, rule and class: so many with one target, and so many in all. More would change nothing but push out others. */
const MAX_OF_TARGET = 8
const MAX_OF_RULE = 64

export interface WaitingAlerts {
  /** Whether as many alerts that would have the same effect wait already. Constant time. */
  isFull(alert: RuntimeAlert): boolean
  add(entry: ParkedAlert): void
  /** False: it did not wait. */
  delete(id: string): boolean
  list(): readonly ParkedAlert[]
  size(): number
}

/** @param classOf the class of an alert's rule: one rule may be of two (a reverse shell, a health check) */
export function createWaiting(classOf: (alert: RuntimeAlert) => string): WaitingAlerts {
  const entries = new Map<string, ParkedAlert>()
  const counts = new Map<string, number>()

  const keysOf = (alert: RuntimeAlert): readonly [rule: string, target: string] => {
    const { credential = '', detector, rule, containerId, namespace = '', pod = '', containerName = '' } = alert
    const place = containerId === undefined ? [namespace, pod, containerName] : [containerId]
    const kind = [credential, detector, rule, classOf(alert), ...place]
    return [JSON.stringify([kind]), JSON.stringify([kind, actTarget(alert)])]
  }
  const count = (alert: RuntimeAlert, by: 1 | -1): void => {
    for (const key of keysOf(alert)) {
      const next = (counts.get(key) ?? 0) + by
      if (next > 0) counts.set(key, next)
      else counts.delete(key)
    }
  }

  return {
    isFull: (alert) => {
      const [rule, target] = keysOf(alert)
      return (counts.get(rule) ?? 0) >= MAX_OF_RULE || (counts.get(target) ?? 0) >= MAX_OF_TARGET
    },
    add: (entry) => {
      if (entries.has(entry.id)) return
      entries.set(entry.id, entry)
      count(entry.alert, 1)
    },
    delete: (id) => {
      const entry = entries.get(id)
      if (entry === undefined) return false
      entries.delete(id)
      count(entry.alert, -1)
      return true
    },
    list: () => [...entries.values()],
    size: () => entries.size,
  }
}
