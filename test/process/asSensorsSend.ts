/**
 * What sensors make of their configuration, as far as a request to Drawbridge goes: each function is held to the sensor's own source, which its comment names.
 * The configurations are those of docs/guides; the sensors themselves are not run.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { dirname, join } from 'node:path'

/** Secrets of the sensor's namespace, by name and key. */
export type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>

/** A part of a pod that concerns files and variables. */
export interface PodParts {
  readonly env?: readonly {
    readonly name: string
    readonly value?: string
    readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
  }[]
  readonly volumes?: readonly {
    readonly name: string
    readonly secret: {
      readonly secretName: string
      readonly items?: readonly { readonly key: string; readonly path: string }[]
    }
  }[]
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
}

/** A sensor's container: its variables, and a folder that stands for its file system. */
export class Container {
  readonly variables: Readonly<Record<string, string>>
  readonly #folder: string

  constructor(folder: string, secrets: Secrets, { env = [], volumes = [], volumeMounts = [] }: PodParts) {
    this.#folder = folder
    const keyOf = (name: string, key: string): string => {
      const value = secrets[name]?.[key]
      assert.ok(value !== undefined, `there is no key ${key} in a Secret ${name}`)
      return value
    }
    this.variables = Object.fromEntries(
      env.map(({ name, value, valueFrom }) => [
        name,
        valueFrom === undefined ? value! : keyOf(valueFrom.secretKeyRef.name, valueFrom.secretKeyRef.key),
      ]),
    )
    for (const { name, mountPath } of volumeMounts) {
      const volume = volumes.find((one) => one.name === name)
      assert.ok(volume !== undefined, `there is no volume ${name}`)
      const { secretName, items } = volume.secret
      const all = Object.keys(secrets[secretName] ?? {}).map((key) => ({ key, path: key }))
      for (const { key, path } of items ?? all) this.write(join(mountPath, path), keyOf(secretName, key))
    }
  }

  /** Where the file of the container lies here. */
  path(file: string): string {
    const path = join(this.#folder, file)
    assert.ok(existsSync(path), `nothing is mounted at ${file}`)
    return path
  }

  write(file: string, text: string): void {
    const path = join(this.#folder, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}

/** What came of a request. `problem` is what the sensor logs where there was no answer. */
export interface Sent {
  readonly status: number | undefined
  readonly text: string
  readonly problem: string
}

export interface FalcoConfiguration {
  readonly json_output: boolean
  readonly http_output: Readonly<Record<string, string | boolean>>
}

/** `${NAME}` inside of strings, as Falco expands it since 0.37: falcosecurity/falco CHANGELOG.md, unit_tests/falco/test_configuration_env_vars.cpp. */
const expanded = (text: string, variables: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => variables[name] ?? '')

/**
 * libcurl with the options that falcosecurity/falco userspace/falco/outputs_http.cpp sets from `http_output`; defaults are those of falco.yaml.
 * `port` is where Drawbridge listens; whom the certificate is for and where the request goes are what the URL says.
 */
export function sendAsFalco(
  { json_output: isJson, http_output: options }: FalcoConfiguration,
  container: Container,
  alert: string,
  port: string,
): Sent {
  assert.equal(options['enabled'], true)
  const text = (key: string): string => expanded(String(options[key] ?? ''), container.variables)
  const { hostname, port: asked } = new URL(text('url'))
  const certificate =
    options['mtls'] === true
      ? ['--cert', container.path(text('client_cert')), '--key', container.path(text('client_key'))]
      : []
  const authority =
    text('ca_cert') === '' ? ['--capath', '/etc/ssl/certs'] : ['--cacert', container.path(text('ca_cert'))]
  const args = [
    '--silent --show-error --user-agent falcosecurity/falco --data-binary @-'.split(' '),
    ['--connect-to', `${hostname}:${asked}:127.0.0.1:${port}`, '--write-out', '\n%{http_code}'],
    ['--header', `Content-Type: ${isJson ? 'application/json' : 'text/plain'}`],
    certificate,
    authority,
    [text('url')],
  ].flat()
  const result = spawnSync('curl', args, { encoding: 'utf8', input: alert })
  const [status, ...body] = result.stdout.split('\n').toReversed()
  return result.status === 0
    ? { status: Number(status), text: body.toReversed().join('\n'), problem: '' }
    : { status: undefined, text: '', problem: result.stderr }
}

interface GoRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** Go's net/http: userinfo of the URL becomes Basic where no Authorization is set, values of headers are trimmed, the certificate is for the URL's host. */
function sendAsGo(
  { url, headers, ca, cert, key }: GoRequest,
  body: string,
  port: string,
  host = '127.0.0.1',
): Promise<Sent> {
  const { hostname, pathname, search, username, password } = new URL(url)
  const trimmed = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.trim()]))
  const hasOwn = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
  return new Promise((resolve) => {
    const sent = request(
      {
        host,
        port,
        path: pathname + search,
        method: 'POST',
        servername: /^[\d.]+$/.test(hostname) ? '' : hostname,
        headers: { Host: hostname, ...trimmed },
        agent: false,
        ...(username !== '' && !hasOwn && { auth: `${username}:${password}` }),
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert, key }),
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode, text, problem: '' }))
      },
    )
    sent.on('error', (error) => resolve({ status: undefined, text: '', problem: error.message }))
    sent.end(body)
  })
}

/** The parts of Falcosidekick's configuration that the webhook output reads, by viper's lower-cased keys. */
export interface SidekickConfiguration {
  readonly webhook: {
    readonly address: string
    readonly customheaders?: Readonly<Record<string, string>>
    readonly mutualtls?: boolean
  }
  readonly tlsclient?: { readonly cacertfile?: string }
  readonly mutualtlsclient?: { readonly certfile: string; readonly keyfile: string; readonly cacertfile: string }
}

/** Headers of WEBHOOK_CUSTOMHEADERS: falcosecurity/falcosidekick config.go splits at commas and colons and drops what is not two parts. */
export const customHeadersOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text
      .split(',')
      .map((part) => part.split(':'))
      .filter((parts) => parts.length === 2) as [string, string][],
  )

/** falcosecurity/falcosidekick outputs/webhook.go, outputs/client.go (`configureTransport`). */
export function sendAsSidekick(
  { webhook, tlsclient, mutualtlsclient }: SidekickConfiguration,
  container: Container,
  alert: string,
  port: string,
): Promise<Sent> {
  const read = (file: string | undefined): string | undefined =>
    file === undefined || file === '' ? undefined : readFileSync(container.path(file), 'utf8')
  const authorities = [
    read(tlsclient?.cacertfile),
    ...(webhook.mutualtls === true ? [read(mutualtlsclient!.cacertfile)] : []),
  ].filter((text) => text !== undefined)
  return sendAsGo(
    {
      url: webhook.address,
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        'User-Agent': 'Falcosidekick',
        ...webhook.customheaders,
      },
      ...(authorities.length > 0 && { ca: authorities.join('\n') }),
      ...(webhook.mutualtls === true && {
        cert: read(mutualtlsclient!.certfile)!,
        key: read(mutualtlsclient!.keyfile)!,
      }),
    },
    alert,
    port,
  )
}

/** The webhook's URL among Tracee's arguments, in the form of v0.24 and in that after it: aquasecurity/tracee pkg/cmd/flags/output.go. */
export function traceeUrl(args: readonly string[]): string {
  const outputs = args.filter((_, index) => args[index - 1] === '--output')
  const found = outputs.flatMap((output) => {
    if (output.startsWith('webhook:')) return [output.slice('webhook:'.length)]
    const [, name, url] = /^destinations\.(\w+)\.url=(.+)$/.exec(output) ?? []
    return url !== undefined && outputs.includes(`destinations.${name}.type=webhook`) ? [url] : []
  })
  assert.equal(found.length, 1, `one webhook in ${outputs.join(' ')}`)
  return found[0]!
}

/** aquasecurity/tracee pkg/cmd/printer/printer.go (`webhookEventPrinter`). Kubernetes puts variables into arguments; Go trusts SSL_CERT_FILE. */
export function sendAsTracee(
  args: readonly string[],
  container: Container,
  event: string,
  port: string,
  host?: string,
): Promise<Sent> {
  const given = args.map((arg) =>
    arg.replaceAll(/\$\((\w+)\)/g, (all, name: string) => container.variables[name] ?? all),
  )
  const file = container.variables['SSL_CERT_FILE']
  return sendAsGo(
    {
      url: traceeUrl(given),
      headers: { 'Content-Type': 'application/json' },
      ...(file !== undefined && { ca: readFileSync(container.path(file), 'utf8') }),
    },
    event,
    port,
    host,
  )
}
