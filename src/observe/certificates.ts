/** What can happen to the serving certificate: one function each, which writes the log line and moves the metric together. */
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { boundedText } from './logger.ts'
import type { Logger } from './logger.ts'

/** Until they expire; negative afterwards. */
export interface CertificateSeconds {
  readonly leaf: number
  readonly authority: number
}

export interface CertificateObserver {
  /** A serving certificate was taken into use; milliseconds since the epoch. */
  loaded(expiresAt: number): void
  /** How certificates stand; `isTrusted`: whether every webhook configuration trusts what is served, undefined where that is not known. */
  status(secondsLeft: CertificateSeconds, isTrusted: boolean | undefined): void
  /** Certificates are made or take the place of others. `isUnusual`: not the course of a rotation. */
  changed(what: string, reason: string, isUnusual: boolean): void
  /** caBundle of the webhook configurations was written; `repaired`: somebody had overwritten it. */
  bundleWritten(repaired: boolean): void
  /** What is served stays. */
  problem(problem: string): void
}

/** Creates the functions and registers their metrics. */
export function createCertificateObserver(logger: Logger, registry: Registry): CertificateObserver {
  const registers = [registry]
  const expiry = new Gauge({
    name: 'drawbridge_certificate_expiry_seconds',
    help: 'Seconds until the serving certificate (leaf) and the authority that issued it expire; negative afterwards.',
    labelNames: ['certificate'],
    registers,
  })
  const trusted = new Gauge({
    name: 'drawbridge_ca_bundle_trusted',
    help: '1 while every webhook of the configurations trusts the serving certificate, 0 while one does not; -1: not known.',
    registers,
  })
  const writes = new Counter({
    name: 'drawbridge_ca_bundle_writes_total',
    help: 'Writes of caBundle; "repaired": somebody had overwritten it.',
    labelNames: ['reason'],
    registers,
  })
  const problems = new Counter({
    name: 'drawbridge_certificate_problems_total',
    help: 'Problems with the serving certificate, its Secret or caBundle, each once while it lasts.',
    registers,
  })
  return {
    loaded(expiresAt) {
      logger.debug({ expires: new Date(expiresAt).toISOString() }, 'certificate taken into use')
    },
    status(secondsLeft, isTrusted) {
      expiry.set({ certificate: 'leaf' }, secondsLeft.leaf)
      expiry.set({ certificate: 'authority' }, secondsLeft.authority)
      trusted.set(isTrusted === undefined ? -1 : isTrusted ? 1 : 0)
    },
    changed(what, reason, isUnusual) {
      const fields = { what, reason: boundedText(reason, 500) }
      if (isUnusual) logger.warn(fields, 'certificates were replaced')
      else logger.info(fields, 'certificates are rotated')
    },
    bundleWritten(repaired) {
      writes.inc({ reason: repaired ? 'repaired' : 'changed' })
      if (repaired) logger.warn('caBundle was overwritten by somebody and has been put back')
      else logger.info('caBundle written')
    },
    problem(problem) {
      problems.inc()
      logger.error({ problem: boundedText(problem, 1000) }, 'a problem with the serving certificate')
    },
  }
}
