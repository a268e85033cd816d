/**
 * Falcosidekick's webhook and CloudEvents outputs: falcosecurity/falcosidekick types/types.go (`FalcoPayload`), outputs/webhook.go, outputs/cloudevents.go.
 *
 * The payload is Falco's with a few differences that must not make a second alert of it: a random `uuid` (never read), the time without trailing
 * zeros, added tags and fields, keys with `[n]` rewritten to `_n` (none of those is read), and strings beyond 512 bytes cut. Binary CloudEvents
 * carry it as the body, structured ones under `data`.
 */
import type { SensorSource } from '../types.ts'
import { decodeFalco } from './falco.ts'

export const falcosidekick: SensorSource = {
  name: 'falcosidekick',
  decode: (item) => decodeFalco(payloadOf(item), 'falcosidekick'),
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md */
function payloadOf(item: unknown): unknown {
  if (typeof item !== 'object' || item === null || !Object.hasOwn(item, 'specversion')) return item
  return 'data' in item && Object.hasOwn(item, 'data') ? item.data : item
}
