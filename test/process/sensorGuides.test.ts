/** The configurations of docs/guides, as each sensor reads them, against the bundled program: they arrive, and by the credential of the guide. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { load } from 'js-yaml'

import { createAuthority } from '../../certs/authority.ts'
import { clientCertificate } from '../certs/clients.ts'
import { blocksOf, commandsOf, fileOf, readPage } from '../docs/markdown.ts'
import { Container, customHeadersOf, sendAsFalco, sendAsSidekick, sendAsTracee } from './asSensorsSend.ts'
import type { FalcoConfiguration, PodParts, Secrets, Sent, SidekickConfiguration } from './asSensorsSend.ts'
import { root, RunningProgram, temporaryFolder } from './server.ts'

const GUIDES = {
  connect: 'docs/guides/connect-a-sensor.md',
  falco: 'docs/guides/falco.md',
  falcosidekick: 'docs/guides/falcosidekick.md',
  tracee: 'docs/guides/tracee.md',
} as const
const TOKENS = { falco: 'fa'.repeat(32), falcosidekick: '5d'.repeat(32), tracee: '7c'.repeat(32) } as const

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a cast with a name, as `load` gives anything
const yamlOf = <T>(page: keyof typeof GUIDES, file: string): T => load(fileOf(GUIDES[page], file)) as T

interface ChartValues {
  readonly config: { readonly alerts: { readonly clientCa?: string; readonly credentials: readonly object[] } }
}
interface FalcoValues {
  readonly falco: FalcoConfiguration
  readonly extra: Pick<PodParts, 'env'>
  readonly mounts: Pick<PodParts, 'volumes' | 'volumeMounts'>
  readonly certs: { readonly existingClientSecret: string }
}
interface SidekickValues {
  readonly config: SidekickConfiguration & { readonly existingSecret: string }
  readonly extraVolumes: PodParts['volumes']
  readonly extraVolumeMounts: PodParts['volumeMounts']
}
interface TraceePatch {
  readonly spec: {
    readonly template: {
      readonly spec: Pick<PodParts, 'volumes'> & {
        readonly containers: readonly (PodParts & { readonly args: readonly string[] })[]
      }
    }
  }
}

interface Answered {
  readonly decisions: readonly { readonly decision: string; readonly rule: string }[]
}

/** A line of a fixture that happens now, edited as text: Falco's numbers do not survive JSON.parse. */
const fixture = (path: string, edit: readonly [RegExp, string]): string => {
  const line = readFileSync(join(root, 'test/fixtures/alerts', path), 'utf8').split('\n', 1)[0]!
  assert.match(line, edit[0])
  return line.replace(...edit)
}
const now = (): readonly [RegExp, string] => [/"time":"[^"]*"/, `"time":"${new Date().toISOString()}"`]

describe('the configurations of docs/guides', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  let server: RunningProgram
  let port: string
  let secrets: Secrets
  let count = 0
  const container = (parts: PodParts): Container =>
    new Container(join(folder.path, `container-${count++}`), secrets, parts)

  before(async () => {
    const sensors = await createAuthority(Date.now())
    const client = clientCertificate(sensors, { commonName: 'falco' }, Date.now())
    const tokens = join(folder.path, 'tokens')
    // What step 1 of the guide puts into the Secret `drawbridge-tokens`, which the chart mounts here.
    const mounted = '/etc/drawbridge/tokens'
    const place = new Container(tokens, {}, {})
    for (const [name, token] of Object.entries(TOKENS)) place.write(`${name}-token`, token)
    place.write('sensors-ca.crt', sensors.certificate)
    const credentials = (
      [
        ['connect', 'drawbridge-sensors.yaml'],
        ['falcosidekick', 'drawbridge-falcosidekick.yaml'],
        ['tracee', 'drawbridge-tracee.yaml'],
      ] as const
    ).flatMap(([page, file]) => yamlOf<ChartValues>(page, file).config.alerts.credentials)
    const certificates = yamlOf<ChartValues>('connect', 'drawbridge-certificates.yaml').config.alerts
    const alerts = {
      clientCa: certificates.clientCa,
      // Both guides call it `falco`; here both are in use at once.
      credentials: [...credentials, ...certificates.credentials.map((one) => ({ ...one, name: 'falco-certificate' }))],
    }
    const text = JSON.stringify({ alerts, tls: { names: ['drawbridge.drawbridge.svc', '10.0.0.5'] } })
    writeFileSync(join(folder.path, 'drawbridge.yaml'), text.replaceAll(mounted, tokens))
    server = await RunningProgram.start(folder.path, ['--alerts-port', '0'])
    port = new URL(server.file.alerts).port
    const ca = readFileSync(server.file.ca, 'utf8')
    secrets = {
      drawbridge: { token: TOKENS.falco, 'ca.crt': ca },
      'drawbridge-client': { 'client.crt': client.certificate, 'client.key': client.key, 'ca.crt': ca },
      'drawbridge-falcosidekick': { WEBHOOK_CUSTOMHEADERS: `Authorization:Bearer ${TOKENS.falcosidekick}` },
    }
  })
  after(async () => {
    await server?.stop()
    folder.remove()
  })

  const accepted = async (credential: string): Promise<number> => {
    const { text } = await server.admin('/metrics')
    const line = new RegExp(
      String.raw`^drawbridge_alert_credential_requests_total\{credential="${credential}",result="accepted"\} (\d+)$`,
      'm',
    )
    return Number(line.exec(text)?.[1] ?? 0)
  }
  /** The request is answered 200, and counted for this credential. */
  const arrives = async (credential: string, send: () => Sent | Promise<Sent>): Promise<Answered> => {
    const before = await accepted(credential)
    const { status, text, problem } = await send()
    assert.deepEqual([status, problem], [200, ''], text)
    assert.equal(await accepted(credential), before + 1)
    return JSON.parse(text) as Answered
  }
  const falcoAlert = (): string => fixture('falco/kubelet-pod-extra-fields.jsonl', now())

  describe('Falco', () => {
    const values = yamlOf<FalcoValues>('falco', 'falco-values.yaml')
    const parts = (): PodParts => ({ ...values.extra, ...values.mounts })

    it('with the chart: the alert is decided, and the digest of its extra fields is in the verdict', async () => {
      const answer = await arrives('falco', () => sendAsFalco(values.falco, container(parts()), falcoAlert(), port))
      assert.equal(answer.decisions[0]?.decision, 'contributed')
      const { text } = await server.admin('/api/v1/verdicts')
      assert.match(text, /sha256:3dc045bdfd7d5b2b366ea0434ca34de2715cdd25c78eff8f3676afe1f334187a/)
    })

    it('with the chart: another CA is a problem that Falco logs, another token one that it does not', () => {
      const stranger = container(parts())
      stranger.write('/etc/falco/drawbridge/ca.crt', secrets['drawbridge-client']!['client.crt']!)
      const { status, problem } = sendAsFalco(values.falco, stranger, falcoAlert(), port)
      assert.equal(status, undefined)
      assert.match(problem, /certificate/i)

      const wrong = new Container(
        join(folder.path, 'wrong'),
        { ...secrets, drawbridge: { ...secrets['drawbridge'], token: 'ab'.repeat(32) } },
        parts(),
      )
      assert.deepEqual(
        [sendAsFalco(values.falco, wrong, falcoAlert(), port)].map((sent) => [sent.status, sent.problem]),
        [[401, '']],
      )
    })

    it('as falco.yaml', async () => {
      const place = container({ env: values.extra.env! })
      place.write('/etc/falco/drawbridge-ca.crt', secrets['drawbridge']!['ca.crt']!)
      await arrives('falco', () => sendAsFalco(yamlOf('falco', 'falco.yaml'), place, falcoAlert(), port))
    })

    it('with a client certificate', async () => {
      const { falco, certs } = yamlOf<FalcoValues>('falco', 'falco-mtls-values.yaml')
      // falcosecurity/charts charts/falco/templates/pod-template.tpl: the whole Secret, at this path.
      const place = container({
        volumes: [{ name: 'client', secret: { secretName: certs.existingClientSecret } }],
        volumeMounts: [{ name: 'client', mountPath: '/etc/falco/certs/client' }],
      })
      await arrives('falco-certificate', () => sendAsFalco(falco, place, falcoAlert(), port))
    })
  })

  describe('Falcosidekick', () => {
    const alert = (): string =>
      JSON.stringify({ uuid: 'b7c7d3a4-8f0a-4a51-9f5c-3a1d2c9d6e11', ...(JSON.parse(falcoAlert()) as object) })

    it('with the chart: the header is the one of existingSecret', async () => {
      const { config, extraVolumes, extraVolumeMounts } = yamlOf<SidekickValues>(
        'falcosidekick',
        'falcosidekick-values.yaml',
      )
      const place = container({ volumes: extraVolumes!, volumeMounts: extraVolumeMounts! })
      const headers = customHeadersOf(secrets[config.existingSecret]!['WEBHOOK_CUSTOMHEADERS']!)
      const read = { ...config, webhook: { ...config.webhook, customheaders: headers } }
      await arrives('falcosidekick', () => sendAsSidekick(read, place, alert(), port))
      // Without the CA it is not trusted, without the header not let in.
      const untrusted = await sendAsSidekick({ webhook: read.webhook }, place, alert(), port)
      assert.match(untrusted.problem, /certificate/)
      assert.equal((await sendAsSidekick(config, place, alert(), port)).status, 401)
    })

    for (const [file, credential] of [
      ['falcosidekick.yaml', 'falcosidekick'],
      ['falcosidekick-mtls.yaml', 'falco-certificate'],
    ] as const)
      it(`as config.yaml: ${file}`, async () => {
        const place = container({})
        place.write('/etc/drawbridge/ca.crt', secrets['drawbridge']!['ca.crt']!)
        for (const name of ['client.crt', 'client.key'])
          place.write(`/etc/drawbridge/${name}`, secrets['drawbridge-client']![name]!)
        const text = fileOf(GUIDES.falcosidekick, file).replace('Bearer TOKEN', `Bearer ${TOKENS.falcosidekick}`)
        const written = load(text.replace('customHeaders', 'customheaders')) as SidekickConfiguration
        // The certificate of this test is Falco's, for which only the path of Falco is open.
        const read =
          credential === 'falcosidekick'
            ? written
            : { ...written, webhook: { ...written.webhook, address: written.webhook.address.replace(/sidekick$/, '') } }
        await arrives(credential, () => sendAsSidekick(read, place, alert(), port))
      })
  })

  describe('Tracee', () => {
    const { containers, volumes } = yamlOf<TraceePatch>('tracee', 'tracee-patch.yaml').spec.template.spec
    const [patched] = containers
    const { args } = yamlOf<{ readonly args: readonly string[] }>('tracee', 'tracee-arguments.yaml')
    const event = (): string =>
      fixture('tracee/signatures.jsonl', [/"timestamp":\d+/, `"timestamp":${Date.now()}000000`])

    for (const [version, words] of [
      ['up to v0.24', patched!.args],
      ['after v0.24', args],
    ] as const)
      it(version, async () => {
        const own = { ...secrets, drawbridge: { ...secrets['drawbridge'], token: TOKENS.tracee } }
        const place = new Container(join(folder.path, `tracee ${version}`), own, { ...patched!, volumes: volumes! })
        const answer = await arrives('tracee', () => sendAsTracee(words, place, event(), port))
        assert.equal(answer.decisions[0]?.rule, 'anti_debugging')
      })
  })

  it('the commands that show that it works print what the guide says', () => {
    const blocks = blocksOf(readPage(GUIDES.connect)).filter(({ marker }) => marker === 'needs the port-forward')
    const commands = blocks.flatMap((block) => commandsOf(block))
    assert.equal(commands.length, 2)
    const [alerts, admin] = [server.file.alerts, server.file.admin].map((url) => new URL(url).port)
    for (const { command, output } of commands) {
      const here = command
        .replaceAll('127.0.0.1:8444', `127.0.0.1:${alerts}`)
        .replaceAll('127.0.0.1:8445', `127.0.0.1:${admin}`)
        .replaceAll('drawbridge-ca.crt', server.file.ca)
      const { stdout, stderr } = spawnSync('bash', ['-c', here], {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, TOKEN: TOKENS.falco },
      })
      assert.equal(stderr, '')
      // Other tests have sent alerts too, so only the lines of the guide, and no numbers.
      for (const line of output) {
        const parts = line.replace(/\d+$/, '').split('...')
        assert.ok(
          stdout.split('\n').some((found) => parts.every((part) => found.includes(part))),
          `${line}\nis not in\n${stdout}`,
        )
      }
    }
  })
})
