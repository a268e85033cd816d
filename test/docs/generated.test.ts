/** Tables of docs/ that are written from the code. `UPDATE_DOCS=yes mocha -g 'generated tables'` writes them again. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SeccompProfile } from '../../manifests/seccompProfiles.ts'
import { classify, shippedClasses, shippedRules } from '../../src/alerts/classes.ts'
import { FALCO_K8S_AUDIT } from '../../src/alerts/rules/audit.ts'
import type { ShippedRule } from '../../src/alerts/rules/types.ts'
import type { Detector } from '../../src/alerts/types.ts'
import { CHECKS } from '../../src/policy/checks/index.ts'
import type { Check } from '../../src/policy/types.ts'
import { Registry } from 'prom-client'
import { createAdmissionObserver } from '../../src/observe/admission.ts'
import { createAlertObserver } from '../../src/observe/alerts.ts'
import { createCertificateObserver } from '../../src/observe/certificates.ts'
import { createLogger } from '../../src/observe/logger.ts'
import { createOperationObserver } from '../../src/observe/operation.ts'
import { observeProcess, observeThread } from '../../src/observe/process.ts'
import { EXAMPLE, examine } from '../doctor/support.ts'
import { readPage, root } from './markdown.ts'

const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')

const code = (text: string): string => `\`${text}\``

function classes(): string {
  const rows = shippedClasses.map((name) => {
    const alert = { detector: 'falco', rule: 'x' } as const
    const overrides = new Map([['x', { class: name }]])
    const { subject, weight } = classify(alert, { overrides })
    return [code(name), subject, String(weight), String(classify(alert, { overrides, preset: 'strict' }).weight)]
  })
  return table(['class', 'subject', 'weight', 'under `strict`'], rows)
}

function rules(detector: Detector, shipped: readonly ShippedRule[]): string {
  const rows = shipped.map(({ rule }) => {
    const { class: name, subject, weight } = classify({ detector, rule })
    return [rule, code(name), subject, String(weight)]
  })
  return table(['rule', 'class', 'subject', 'weight'], rows)
}

function traceeRules(): string {
  const rows = shippedRules.tracee.map(({ rule, aliases = [] }) => {
    const { class: name, subject, weight } = classify({ detector: 'tracee', rule })
    const names = aliases.map((alias) => alias.replaceAll('<pid>', 'PID')).join(', ')
    return [code(rule), names, code(name), subject, String(weight)]
  })
  return table(['event', 'also known as', 'class', 'subject', 'weight'], rows)
}

/** The first sentences of the comment at the top of a check's file: up to the first line without text. */
function summaryOf({ id }: Check): string {
  const source = readFileSync(join(root, 'src/policy/checks', `${id}.ts`), 'utf8')
  const comment = /\/\*\n((?: \* .*\n)+) \*\n/.exec(source)?.[1]
  assert.ok(comment !== undefined, `${id}: no comment at the top says what the check is about`)
  return comment.replaceAll(/^ \* /gm, '').trim().replaceAll('\n', ' ')
}

function checks(): string {
  const rows = CHECKS.map((check) => {
    const since = check.versions.map(({ since: minor }) => (minor === 0 ? 'all' : `v1.${minor}`)).join(', ')
    return [
      code(check.id),
      summaryOf(check),
      check.profiles.join(', '),
      since,
      (check.replaces ?? []).map(code).join(', '),
    ]
  })
  return table(['check', 'what it holds pods to', 'profiles', 'versions', 'replaces'], rows)
}

/** Every metric of both threads, as the server registers them. */
function shippedMetrics(): readonly { name: string; type: string; labelNames: readonly string[]; help: string }[] {
  const registry = new Registry()
  const logger = createLogger({ level: 'silent', thread: 'test' })
  for (const create of [
    createAdmissionObserver,
    createAlertObserver,
    createCertificateObserver,
    createOperationObserver,
  ] as const)
    create(logger, registry)
  observeThread('admission', registry)
  observeProcess('0', registry)
  return (registry.getMetricsAsArray() as unknown as ReturnType<typeof shippedMetrics>).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  )
}

const metrics = (): string =>
  table(
    ['metric', 'type', 'labels', 'what it says'],
    shippedMetrics().map(({ name, type, labelNames, help }) => [
      code(name),
      type,
      labelNames.map(code).join(', '),
      help.replaceAll('|', '\\|'),
    ]),
  )

const example = await examine(EXAMPLE)
const doctorExample = (): string =>
  `\n\`\`\`\n$ drawbridge doctor --kubeconfig ~/.kube/config\n${example.text}\`\`\`\n\n`

describe('metrics', () => {
  it('have labels of few values: never a pod, a name or a text of somebody else', () => {
    const labels = new Set(shippedMetrics().flatMap(({ labelNames }) => labelNames))
    assert.deepEqual(
      [...labels].toSorted(),
      'cache certificate check code credential decision listener mode node outcome part phase quantile reason result source status thread version webhook what'.split(
        ' ',
      ),
    )
  })
})

/** From the files, not from what they are made of: this is what a node is given. */
function deniedGroups(): string {
  const folder = join(root, 'manifests/seccomp')
  const rows = readdirSync(folder)
    .filter((name) => !name.startsWith('audit-'))
    .flatMap((name) => {
      const { syscalls } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as SeccompProfile
      return syscalls
        .filter(({ action, errnoRet }) => action === 'SCMP_ACT_ERRNO' && errnoRet === 1)
        .map(({ names, args = [], comment = '' }) => {
          const [group = ''] = comment.split(': ')
          const reason = comment.slice(group.length + 2)
          const some = args.length > 0 ? `, where argument ${args[0]!.index + 1} has ${hex(args[0]!.value)}` : ''
          return [code(name.replace('.json', '')), group, names.map(code).join(', ') + some, reason]
        })
    })
  return table(['profile', 'group', 'calls', 'reason'], rows)
}

const hex = (value: number): string => `0x${value.toString(16)}`

describe('generated tables', () => {
  for (const [page, name, write] of [
    ['docs/rules.md', 'classes', classes],
    [
      'docs/rules.md',
      'rules of Falco',
      () =>
        rules(
          'falco',
          shippedRules.falco.filter((row) => !FALCO_K8S_AUDIT.includes(row)),
        ),
    ],
    ['docs/rules.md', 'rules of Tracee', traceeRules],
    [
      'docs/rules.md',
      'rules of the audit log',
      () =>
        rules(
          'k8s-audit',
          shippedRules['k8s-audit'].filter(
            ({ rule }, index, all) => all.findIndex((other) => other.rule === rule) === index,
          ),
        ),
    ],
    ['docs/checks.md', 'checks', checks],
    ['docs/operations.md', 'metrics', metrics],
    ['docs/operations.md', 'doctor', doctorExample],
    ['docs/seccomp.md', 'denied groups', deniedGroups],
  ] as const) {
    it(`${page} has the ${name} of the code`, () => {
      const text = readPage(page)
      const start = `<!-- generated: ${name} -->\n`
      const from = text.indexOf(start) + start.length
      const to = text.indexOf('<!-- end -->', from)
      assert.ok(from >= start.length && to >= from, `${page} has no place for ${name}`)
      if (process.env['UPDATE_DOCS'] === 'yes')
        writeFileSync(join(root, page), text.slice(0, from) + write() + text.slice(to))
      else assert.equal(text.slice(from, to), write(), 'write it again with UPDATE_DOCS=yes')
    })
  }
})
