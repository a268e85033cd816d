/** Falco as docs/sensors.md has it configured, as a DaemonSet: for `make e2e SENSOR=falco`. FALCO_IMAGE names another image. */
import { SERVICE_NAME } from './endpoint.ts'
import type { Endpoint } from './endpoint.ts'

const IMAGE = process.env['FALCO_IMAGE'] ?? 'docker.io/falcosecurity/falco:0.44.1'

export function falcoObjects({ address, token, ca }: Endpoint, containerdSocket: string): readonly object[] {
  const namespace = 'falco'
  const labels = { app: 'falco' }
  const config = {
    engine: { kind: 'modern_ebpf' },
    json_output: true,
    json_include_output_fields_property: true,
    http_output: {
      enabled: true,
      url: `https://falco:${token}@${SERVICE_NAME}:8444/alerts/falco`,
      ca_cert: '/etc/drawbridge/ca.crt',
      max_consecutive_timeouts: 5,
    },
    append_output: [
      { suggested_output: true },
      {
        match: { source: 'syscall' },
        extra_fields: ['container.full_id', 'container.image', 'container.image.digest', 'k8s.pod.uid'],
      },
    ],
  }
  const mounts = [
    { name: 'config', mountPath: '/etc/falco/config.d/drawbridge.yaml', subPath: 'drawbridge.yaml' },
    { name: 'config', mountPath: '/etc/drawbridge/ca.crt', subPath: 'ca.crt' },
    { name: 'proc', mountPath: '/host/proc', readOnly: true },
    { name: 'etc', mountPath: '/host/etc', readOnly: true },
    { name: 'containerd', mountPath: '/host/run/containerd/containerd.sock' },
  ]
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'falco', namespace },
      // JSON is YAML.
      stringData: { 'drawbridge.yaml': JSON.stringify(config), 'ca.crt': ca },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'falco', namespace },
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            hostAliases: [{ ip: address, hostnames: [SERVICE_NAME] }],
            tolerations: [{ operator: 'Exists' }],
            containers: [{ name: 'falco', image: IMAGE, securityContext: { privileged: true }, volumeMounts: mounts }],
            volumes: [
              { name: 'config', secret: { secretName: 'falco' } },
              { name: 'proc', hostPath: { path: '/proc' } },
              { name: 'etc', hostPath: { path: '/etc' } },
              { name: 'containerd', hostPath: { path: containerdSocket, type: 'Socket' } },
            ],
          },
        },
      },
    },
  ]
}
