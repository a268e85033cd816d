/**
 * Does the API server reach Drawbridge, and trust it? One request proves it: an AdmissionProfile that the CRD accepts and our webhook alone refuses, created as
 * a dry run. Nothing is stored, whatever the answer. Where there are several API servers, it is the one that was asked.
 */
import { GROUP, VERSION } from '../../kube/names.ts'
import { clean } from '../../cli/io.ts'
import { ok, problem, unknown, word } from '../text.ts'
import type { Check, Installation } from '../types.ts'

/** Only user 0, under a level that forbids user 0 (src/policy/contradictions.ts). */
export const PROBE = {
  apiVersion: `${GROUP}/${VERSION}`,
  kind: 'AdmissionProfile',
  metadata: { name: 'drawbridge-doctor-probe' },
  spec: { extends: { level: 'standard' }, runAsUser: [{ min: 0, max: 0 }] },
}

const MAX_SAID = 300

const pods = (namespace: string): string =>
  `kubectl -n ${word(namespace)} get pods -l app.kubernetes.io/name=drawbridge`

/** What the API server says when it cannot get an answer, what that means, and what to do. The first that matches. */
const CAUSES: readonly (readonly [RegExp, string, (installation: Installation) => string])[] = [
  [
    /no endpoints available for service/,
    'no replica is ready behind the Service',
    ({ namespace }) =>
      `${pods(namespace)}; then kubectl -n ${word(namespace)} logs -l app.kubernetes.io/name=drawbridge`,
  ],
  [/service "[^"]*" not found|services "[^"]*" not found/, 'there is no Service', ({ repair }) => repair],
  [
    /x509: certificate has expired or is not yet valid/,
    'its certificate is not valid now',
    () => 'docs/certificates.md; look at the clock of the nodes too',
  ],
  [
    /x509: certificate is (valid for|not valid for)|doesn't contain any IP SANs|x509: cannot validate certificate/,
    'its certificate is for another name than the one that is called',
    () => 'add the name to tls.names of drawbridge.yaml (docs/certificates.md)',
  ],
  [
    /x509|tls: |certificate/,
    'the API server does not trust its certificate: caBundle is wrong',
    ({ repair }) => repair,
  ],
  [
    /connection refused/,
    'nothing listens there',
    ({ kind, namespace }) =>
      kind === 'outside' ? 'start it again: drawbridge serve --kubeconfig FILE --data DIR' : pods(namespace),
  ],
  [
    /context deadline exceeded|Client\.Timeout|i\/o timeout|request timed out/,
    'no answer in time: a firewall or a NetworkPolicy between the API server and port 8443, or a server that hangs',
    ({ namespace }) => `let the API server reach port 8443 (docs/install.md#network); ${pods(namespace)}`,
  ],
  [/no such host|server misbehaving/, 'the API server cannot resolve the host of the URL', ({ repair }) => repair],
  [
    /no route to host|network is unreachable/,
    'the API server has no route to it',
    () => 'let the API server reach port 8443 (docs/install.md#network)',
  ],
  [
    /EOF|connection reset/,
    'the connection is cut before an answer comes: something in between, or it is stopping',
    ({ namespace }) => pods(namespace),
  ],
  [
    /status code|response code|expected webhook response|could not find the requested resource|unmarshal/,
    'something else answers there',
    ({ repair }) => repair,
  ],
]

export const reachable: Check = {
  id: 'reachable',
  async run(installation) {
    const { status, message } = await installation.reader.dryRun(`/apis/${GROUP}/${VERSION}/admissionprofiles`, PROBE)
    const said = clean(message).slice(0, MAX_SAID)
    if (message.includes('admission webhook "profiles.drawbridge.dev" denied the request'))
      return [ok('the API server reaches Drawbridge and trusts it (a dry run was refused as it should be)')]
    if (status >= 200 && status < 300)
      return [
        problem(
          'the API server does not ask Drawbridge: a profile that contradicts itself would be taken',
          installation.repair,
        ),
      ]
    if (/failed calling webhook/.test(message)) {
      const cause = CAUSES.find(([pattern]) => pattern.test(message))
      return cause === undefined
        ? [problem(`the API server gets no answer from Drawbridge: ${said}`, pods(installation.namespace))]
        : [problem(`the API server gets no answer from Drawbridge: ${cause[1]} (${said})`, cause[2](installation))]
    }
    if (status === 403)
      return [
        unknown(
          'whether the API server reaches Drawbridge: needs the right to create admissionprofiles.drawbridge.dev (a dry run)',
        ),
      ]
    return [unknown(`whether the API server reaches Drawbridge: ${said}`)]
  },
}
