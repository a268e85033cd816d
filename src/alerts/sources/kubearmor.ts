/**
 * KubeArmor's alerts as the relay server prints them: kubearmor/KubeArmor protobuf/kubearmor.proto (`Alert`), getting-started/kubearmor-events.md.
 * KubeArmor's sidekick puts most of the fields under `OutputFields`; both are read.
 */
import { MAX_RULE } from '../text.ts'
import type { EventTime } from '../time.ts'
import { epochTime, parseEventTime } from '../time.ts'
import type { Decoded, RuntimeAlert, SensorSource } from '../types.ts'
import type { Json } from './fields.ts'
import {
  arrayAt,
  containerIdOf,
  digestIn,
  isObject,
  own,
  present,
  referenceOf,
  refuse,
  tagsIn,
  targetIn,
  techniquesIn,
  telemetry,
  textOf,
} from './fields.ts'

export const kubearmor: SensorSource = { name: 'kubearmor', decode: decodeKubearmor }

/**
 * Finding: `Type: MatchedPolicy`; the rule is the policy's name (`DefaultPosture` where no policy allowed it). Telemetry: container and host logs,
 * and policies of hosts and networks, which concern no image. The target is the program that acted; its arguments are not read.
 */
function decodeKubearmor(item: unknown): Decoded {
  if (!isObject(item)) return refuse('not-an-object', 'an alert is a JSON object')
  const nested = own(item, 'OutputFields')
  const fields = isObject(nested) ? { ...item, ...nested } : item
  const type = textOf(fields, 'Type', 64)
  if (type === undefined) return refuse('fields-malformed', 'an alert has a `Type`')
  if (type !== 'MatchedPolicy') return telemetry('no matched policy of a container')
  const rule = textOf(fields, 'PolicyName', MAX_RULE)
  if (rule === undefined) return refuse('rule-missing', 'a matched policy has a `PolicyName`')
  const time = timeOf(fields)
  if (time === 'missing') return refuse('time-missing', 'an alert has an `UpdatedTime` or a `Timestamp`')
  if (time === undefined) return refuse('time-malformed', '`UpdatedTime` is not an RFC 3339 time with a zone')
  const image = referenceOf(textOf(fields, 'ContainerImage'))
  const tags = tagsOf(fields)
  const alert: RuntimeAlert = {
    detector: 'kubearmor',
    source: 'kubearmor',
    rule,
    priority: textOf(fields, 'Severity', 32) ?? '',
    tags: tagsIn(tags),
    ...techniquesIn(tags),
    ...time,
    target: targetOf(fields),
    ...present('node', textOf(fields, 'HostName') ?? textOf(fields, 'Hostname')),
    ...present('containerId', containerIdOf(textOf(fields, 'ContainerID'))),
    ...present('containerName', textOf(fields, 'ContainerName')),
    ...present('namespace', textOf(fields, 'NamespaceName')),
    ...present('pod', textOf(fields, 'PodName')),
    ...present('image', image),
    ...present('imageDigest', digestIn([own(fields, 'ContainerImage')])),
  }
  return { kind: 'finding', alert }
}

/** `UpdatedTime` to the microsecond; `Timestamp` in whole seconds. */
function timeOf(fields: Json): EventTime | 'missing' | undefined {
  const updated = textOf(fields, 'UpdatedTime')
  if (updated !== undefined) return parseEventTime(updated)
  const seconds = own(fields, 'Timestamp')
  if (seconds === undefined || seconds === null) return 'missing'
  return typeof seconds === 'number' ? epochTime(seconds) : undefined
}

/** `ATags` is the list, `Tags` the same joined by commas. */
function tagsOf(fields: Json): readonly unknown[] {
  const tags = arrayAt(fields, 'ATags', 32)
  return tags.length > 0 ? tags : (textOf(fields, 'Tags')?.split(',') ?? [])
}

/** `ProcessName`; in older versions the first word of `Source`, the rest of which is a command line. */
function targetOf(fields: Json): string {
  const name = textOf(fields, 'ProcessName') ?? textOf(fields, 'Source')
  return targetIn(name?.split(' ', 1)[0])
}
