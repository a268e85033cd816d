import assert from 'node:assert/strict'
import { containersOf, podImages } from '../../src/kube/containers.ts'
import type { PodSpec } from '../../src/kube/types.ts'

const spec: PodSpec = {
  initContainers: [
    { name: 'setup', image: 'i' },
    { name: 'sidecar', image: 's', restartPolicy: 'Always' },
  ],
  containers: [{ name: 'web', image: 'w' }, { name: 'blank' }],
  ephemeralContainers: [{ name: 'debug', image: 'd' }],
  volumes: [
    { name: 'a', emptyDir: {} },
    { name: 'b', image: { reference: 'v' } },
    { name: 'c', image: {} },
  ],
}

describe('containersOf', () => {
  it('visits every kind, in order', () => {
    assert.deepEqual(
      containersOf(spec).map(({ kind, path, container }) => [kind, path, container.name]),
      [
        ['init', 'spec.initContainers[0]', 'setup'],
        ['init', 'spec.initContainers[1]', 'sidecar'],
        ['container', 'spec.containers[0]', 'web'],
        ['container', 'spec.containers[1]', 'blank'],
        ['ephemeral', 'spec.ephemeralContainers[0]', 'debug'],
      ],
    )
  })

  it('names the place of each, however many there are, and again of fewer', () => {
    const placesOf = (count: number): readonly string[] =>
      containersOf({ containers: Array.from({ length: count }, (_, index) => ({ name: `c${index}` })) }).map(
        ({ path, container }) => `${path} ${container.name}`,
      )
    for (const count of [1, 3000, 2])
      assert.deepEqual(
        placesOf(count),
        Array.from({ length: count }, (_, index) => `spec.containers[${index}] c${index}`),
      )
  })

  it('takes null for none', () => {
    const nulls = { containers: [], initContainers: null, ephemeralContainers: null } as unknown as PodSpec
    assert.deepEqual(containersOf(nulls), [])
  })
})

describe('podImages', () => {
  it('names every image, image volumes too, and leaves out what is not there', () => {
    assert.deepEqual(podImages(spec), [
      { kind: 'init', path: 'spec.initContainers[0].image', image: 'i', container: 'setup' },
      { kind: 'init', path: 'spec.initContainers[1].image', image: 's', container: 'sidecar' },
      { kind: 'container', path: 'spec.containers[0].image', image: 'w', container: 'web' },
      { kind: 'ephemeral', path: 'spec.ephemeralContainers[0].image', image: 'd', container: 'debug' },
      { kind: 'volume', path: 'spec.volumes[1].image.reference', image: 'v' },
    ])
  })
})
