/** What docs/guides says of other programs' options, held to lists of what those programs know. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { load, loadAll } from 'js-yaml'

import { falco } from '../../src/alerts/sources/falco.ts'
import { parseConfig } from '../../src/config/config.ts'
import { blocksOf, fileOf, pages, readPage, root } from './markdown.ts'

/**
 * Of the charts' values.yaml and of the programs' own configuration, as far as the guides use them. Falco: falcosecurity/charts charts/falco 9.1.0 and falcosecurity/falco
 * falco.yaml 0.44. Falcosidekick: charts/falcosidekick 0.14.0 and falcosecurity/falcosidekick config_example.yaml 2.32.
 */
const HTTP_OUTPUT = ['enabled', 'url', 'ca_cert', 'mtls', 'client_cert', 'client_key'].map(
  (key) => `http_output.${key}`,
)
const APPEND_OUTPUT = ['suggested_output', 'match.source', 'extra_fields'].map((key) => `append_output[].${key}`)
const FALCO_YAML = ['json_output', ...HTTP_OUTPUT, ...APPEND_OUTPUT]
const WEBHOOK = ['address', 'minimumpriority', 'mutualtls']
const SIDEKICK_YAML = [
  'tlsclient.cacertfile',
  ...['certfile', 'keyfile', 'cacertfile'].map((key) => `mutualtlsclient.${key}`),
  ...WEBHOOK.map((key) => `webhook.${key}`),
  'webhook.customHeaders.Authorization',
]
const SECRET_VOLUME = ['name', 'secret.secretName', 'secret.items[].key', 'secret.items[].path']
const MOUNT = ['name', 'mountPath', 'readOnly']
const KNOWN: readonly (readonly [page: string, file: string, keys: readonly string[]])[] = [
  [
    'falco',
    'falco-values.yaml',
    [
      ...FALCO_YAML.map((key) => `falco.${key}`),
      ...['name', 'valueFrom.secretKeyRef.name', 'valueFrom.secretKeyRef.key'].map((key) => `extra.env[].${key}`),
      ...SECRET_VOLUME.map((key) => `mounts.volumes[].${key}`),
      ...MOUNT.map((key) => `mounts.volumeMounts[].${key}`),
    ],
  ],
  ['falco', 'falco.yaml', FALCO_YAML],
  ['falco', 'falco-mtls-values.yaml', [...FALCO_YAML.map((key) => `falco.${key}`), 'certs.existingClientSecret']],
  [
    'falcosidekick',
    'falcosidekick-values.yaml',
    [
      'config.existingSecret',
      'config.tlsclient.cacertfile',
      ...WEBHOOK.map((key) => `config.webhook.${key}`),
      ...SECRET_VOLUME.map((key) => `extraVolumes[].${key}`),
      ...MOUNT.map((key) => `extraVolumeMounts[].${key}`),
    ],
  ],
  ['falcosidekick', 'falcosidekick.yaml', SIDEKICK_YAML],
  ['falcosidekick', 'falcosidekick-mtls.yaml', SIDEKICK_YAML],
]
/** Fields of events of the source `syscall` that the container plugin has and does not suggest: falcosecurity/plugins plugins/container/src/caps/extract/extract.cpp. */
const NOT_SUGGESTED = ['container.full_id', 'container.image', 'container.image.digest', 'k8s.pod.uid']

const leaves = (value: unknown, path = ''): readonly string[] =>
  Array.isArray(value)
    ? value.flatMap((item) => leaves(item, `${path}[]`))
    : typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`))
      : [path.replace(/\[\]$/, '')]

const guide = (name: string): string => `docs/guides/${name}.md`

describe('guides for sensors', () => {
  for (const [page, file, keys] of KNOWN)
    it(`${file} has only keys that there are`, () => {
      const found = leaves(load(fileOf(guide(page), file)))
      assert.ok(found.length > 3)
      assert.deepEqual(
        found.filter((key) => !keys.includes(key)),
        [],
      )
    })

  interface Appended {
    readonly append_output: readonly { readonly extra_fields?: readonly string[] }[]
  }
  const extraFields = ({ append_output: entries }: Appended): readonly string[] =>
    entries.flatMap(({ extra_fields: fields = [] }) => fields)
  const { falco: values } = load(fileOf(guide('falco'), 'falco-values.yaml')) as { readonly falco: Appended }

  it('Falco’s extra fields are the same in both files, exist, and are explained', () => {
    const fields = extraFields(values)
    assert.deepEqual(fields, extraFields(load(fileOf(guide('falco'), 'falco.yaml')) as Appended))
    assert.deepEqual([...fields].sort(), NOT_SUGGESTED)
    for (const field of fields) assert.ok(readPage(guide('falco')).includes(`| \`${field}\` |`), field)
  })

  it('Drawbridge reads each of Falco’s extra fields', () => {
    const path = 'test/fixtures/alerts/falco/kubelet-pod-extra-fields.jsonl'
    const [line = ''] = readFileSync(join(root, path), 'utf8').split('\n', 1)
    const decoded = (without: readonly string[]): unknown => {
      const item = JSON.parse(line) as { readonly output_fields: Record<string, unknown> }
      for (const field of without) {
        assert.ok(field in item.output_fields, field)
        delete item.output_fields[field]
      }
      return falco.decode(item)
    }
    for (const field of extraFields(values)) {
      // Where Falco has no tag: the reference is all there is.
      const missing = field === 'container.image' ? ['container.image.tag'] : []
      assert.notDeepEqual(decoded([...missing, field]), decoded(missing), field)
    }
  })

  it('every `config` for our own chart is a configuration', () => {
    const found = pages
      .filter((page) => page.startsWith('docs/guides/'))
      .flatMap((page) => blocksOf(readPage(page)).map((block) => ({ ...block, page })))
      .filter(({ file }) => file?.startsWith('drawbridge-') === true)
    assert.ok(found.length >= 5)
    for (const { page, lines } of found)
      for (const { config } of loadAll(lines.join('\n')) as { readonly config?: unknown }[])
        if (config !== undefined) parseConfig(JSON.stringify(config), page)
  })
})
