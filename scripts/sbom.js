// Writes the software bill of materials of the bundle: CycloneDX, as `npm sbom` makes it of the lock file, reduced to the packages that are in the bundle.
// The same sources give the same bytes: no time, no random serial number.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

const INSTALLED = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//

/** `name@version` of every installed package that esbuild took a file from. */
function bundledPackages(metafile) {
  const packages = new Set()
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const [folder] = INSTALLED.exec(input) ?? []
      if (folder === undefined || bytesInOutput === 0) continue
      const { name, version } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'))
      packages.add(`${name}@${version}`)
    }
  }
  return packages
}

/**
 * @param file where it is written
 * @param metafile esbuild's account of the bundle
 * @param node the version of Node that will run it, where that is known
 */
export function writeSbom(file, metafile, node) {
  const { name, version, license } = JSON.parse(readFileSync('package.json', 'utf8'))
  const made = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const { $schema, bomFormat, specVersion, components, dependencies } = JSON.parse(made)
  const bundled = bundledPackages(metafile)
  const listed = components.filter((component) => bundled.has(`${component.name}@${component.version}`))
  const missing = [...bundled].filter(
    (id) => !listed.some((component) => `${component.name}@${component.version}` === id),
  )
  if (missing.length > 0) throw new Error(`in the bundle, but not in the lock file: ${missing.join(', ')}`)

  const own = {
    'bom-ref': `${name}@${version}`,
    type: 'application',
    name,
    version,
    licenses: [{ license: { id: license } }],
  }
  const platform =
    node === undefined
      ? []
      : [{ 'bom-ref': `node@${node}`, type: 'platform', name: 'node', version: node, purl: `pkg:generic/node@${node}` }]
  const parts = [...platform, ...listed]
  const known = new Set([own, ...parts].map((component) => component['bom-ref']))
  const sbom = {
    $schema,
    bomFormat,
    specVersion,
    version: 1,
    metadata: { component: own },
    components: parts,
    dependencies: dependencies
      .filter(({ ref }) => known.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => known.has(other)) })),
  }
  writeFileSync(file, JSON.stringify(sbom, undefined, 1) + '\n')
}
