/** `POST /alerts/<source>`: bytes to alerts, alerts to the correlator, and an answer only when every effect is durable. */
import { BODY_LIMITS, splitBody } from '../src/alerts/body.ts'
import type { InPieces } from '../src/alerts/inPieces.ts'
import type { RuntimeAlert, SensorSource } from '../src/alerts/types.ts'
import type { Correlator } from '../src/correlator/api.ts'
import type { AlertObserver } from '../src/observe/alerts.ts'
import type { AlertHandler } from '../src/server/alertsApp.ts'
import { errorReply, jsonReply } from '../src/server/reply.ts'

/** Refused items that are named in an answer; the rest is only counted. */
const NAMED_REFUSALS = 10

/** Creates the endpoint. `sources` is the explicit list of sensors; `inPieces` is how a batch is worked through. */
export function createAlerts(options: {
  readonly sources: readonly SensorSource[]
  readonly correlator: Pick<Correlator, 'handle'>
  readonly observer: AlertObserver
  readonly inPieces: InPieces
}): AlertHandler {
  const { correlator, observer, inPieces } = options
  const sources = new Map(options.sources.map((source) => [source.name, source]))

  return async (name, body, credential) => {
    const source = sources.get(name)
    if (source === undefined) return errorReply(404, 'unknown source')
    if (body.length === 0) return errorReply(400, 'the body is empty; wanted an alert as JSON')
    const split = splitBody(body, { ...BODY_LIMITS, ...source.bodyLimits })
    const findings: RuntimeAlert[] = []
    const refused: { line: number; code: string; message: string }[] = []
    let telemetry = 0
    for (const entry of inPieces(split.items)) {
      const decoded = 'refused' in entry ? { kind: 'refused' as const, ...entry.refused } : source.decode(entry.item)
      if (decoded.kind === 'finding') findings.push({ ...decoded.alert, credential })
      else if (decoded.kind === 'telemetry') telemetry++
      else refused.push({ line: entry.line, code: decoded.code, message: decoded.message })
    }
    const count = findings.length + telemetry + refused.length
    observer.alertsDecoded({
      source: name,
      findings: findings.length,
      telemetry,
      refused,
      replacedBytes: split.replacedBytes,
    })

    let outcomes
    try {
      outcomes = await correlator.handle(inPieces(findings))
    } catch (error) {
      // Not acknowledged: nothing that the sender was told is lost.
      observer.storeFailed(error)
      return {
        alerts: count,
        ...errorReply(503, 'the ledger could not be written; send the alert again'),
        headers: { 'Retry-After': '1' },
      }
    }

    const answer = {
      accepted: findings.length + telemetry,
      refused: refused.slice(0, NAMED_REFUSALS),
      decisions: outcomes
        .slice(0, NAMED_REFUSALS)
        .map(({ alert, decision, verdict, phase, reason }) => ({ rule: alert.rule, decision, verdict, phase, reason })),
    }
    const isUseless = findings.length + telemetry === 0 && refused.length > 0
    // A batch with some bad items is accepted: kube-apiserver sends a whole batch again after any error.
    return { alerts: count, ...jsonReply(isUseless && source.repeatsBatches !== true ? 400 : 200, answer) }
  }
}
