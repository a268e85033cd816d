/** Drawbridge's alert listener as sensors outside of the cluster's DNS reach it, kube-apiserver's audit webhook among them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { NodeCluster } from '../cluster/harness.ts'

/** The name that Drawbridge's certificate is for, and what it must be resolved to: nodes and sensors on them do not use the cluster's DNS. */
export const SERVICE_NAME = 'drawbridge.drawbridge.svc'

/** How a sensor reaches Drawbridge, as docs/sensors.md has people look it up. */
export interface Endpoint {
  /** The ClusterIP of the Service. */
  readonly address: string
  readonly token: string
  /** PEM. */
  readonly ca: string
}

export async function endpointOf(cluster: NodeCluster): Promise<Endpoint> {
  const read = (...args: readonly string[]): Promise<string> => cluster.must(['-n', 'drawbridge', 'get', ...args])
  const decoded = (text: string): string => Buffer.from(text, 'base64').toString()
  return {
    address: await read('service', 'drawbridge', '-o', 'jsonpath={.spec.clusterIP}'),
    token: decoded(await read('secret', 'drawbridge-tokens', '-o', 'jsonpath={.data.alert-token}')),
    ca: decoded(await read('secret', 'drawbridge-tls', '-o', String.raw`jsonpath={.data.ca\.crt}`)),
  }
}

const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    verbs: [get, create, patch, update]
    resources:
      - group: ""
        resources: [pods/exec, pods/attach, pods/portforward, pods/ephemeralcontainers]
  - level: None
`

/** Has the API server post its audit events, as docs/sensors.md says it for a Service in the cluster: by its address, under its name. */
export async function startAuditWebhook(cluster: NodeCluster, endpoint: Endpoint, folder: string): Promise<void> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const ca = file('drawbridge-ca.crt', endpoint.ca)
  const config = `apiVersion: v1
kind: Config
clusters:
  - name: drawbridge
    cluster:
      server: https://${endpoint.address}:8444/alerts/k8s-audit
      tls-server-name: ${SERVICE_NAME}
      certificate-authority: ${ca}
users: [{ name: kube-apiserver, user: { token: "${endpoint.token}" } }]
contexts: [{ name: drawbridge, context: { cluster: drawbridge, user: kube-apiserver } }]
current-context: drawbridge
`
  await cluster.stopApiServer()
  await cluster.startApiServer([
    `--audit-policy-file=${file('audit-policy.yaml', AUDIT_POLICY)}`,
    `--audit-webhook-config-file=${file('audit-webhook.yaml', config)}`,
    '--audit-webhook-batch-max-wait=1s',
  ])
}
