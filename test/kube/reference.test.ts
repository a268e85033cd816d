import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { digestOfImageId, isDigest, parseReference } from '../../src/kube/reference.ts'

const hex = 'a1'.repeat(32)
const digest = `sha256:${hex}`

describe('parseReference', () => {
  const valid: readonly (readonly [string, string, string])[] = [
    // text, repository, normalized
    ['nginx', 'docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.25', 'docker.io/library/nginx', 'docker.io/library/nginx:1.25'],
    ['library/nginx', 'docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['shop/web', 'docker.io/shop/web', 'docker.io/shop/web:latest'],
    ['localhost/web', 'localhost/web', 'localhost/web:latest'],
    ['localhost:5000/web', 'localhost:5000/web', 'localhost:5000/web:latest'],
    ['registry:5000/web:2', 'registry:5000/web', 'registry:5000/web:2'],
    ['registry.example/a/b/c:v', 'registry.example/a/b/c', 'registry.example/a/b/c:v'],
    ['Registry.Example/a', 'registry.example/a', 'registry.example/a:latest'],
    ['registry.example:443/a', 'registry.example/a', 'registry.example/a:latest'],
    ['registry.example:0443/a', 'registry.example/a', 'registry.example/a:latest'],
    ['registry.example:05000/a', 'registry.example:5000/a', 'registry.example:5000/a:latest'],
    ['registry:443/a', 'registry:443/a', 'registry:443/a:latest'],
    ['registry-1.docker.io/library/nginx:1.25', 'docker.io/library/nginx', 'docker.io/library/nginx:1.25'],
    ['registry.hub.docker.com/nginx', 'docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    ['REGISTRY/a', 'registry/a', 'registry/a:latest'],
    ['[2001:db8::1]:5000/web', '[2001:db8::1]:5000/web', '[2001:db8::1]:5000/web:latest'],
    ['a__b/c.d-e--f_g', 'docker.io/a__b/c.d-e--f_g', 'docker.io/a__b/c.d-e--f_g:latest'],
    [`nginx@${digest}`, 'docker.io/library/nginx', `docker.io/library/nginx@${digest}`],
    [`nginx:1.25@${digest}`, 'docker.io/library/nginx', `docker.io/library/nginx@${digest}`],
    [`r.example:5000/x:v1@${digest}`, 'r.example:5000/x', `r.example:5000/x@${digest}`],
    [`nginx@sha512:${hex}${hex}`, 'docker.io/library/nginx', `docker.io/library/nginx@sha512:${hex}${hex}`],
    [`nginx:${'t'.repeat(128)}`, 'docker.io/library/nginx', `docker.io/library/nginx:${'t'.repeat(128)}`],
  ]
  for (const [text, repository, normalized] of valid) {
    it(`reads ${text.slice(0, 60)}`, () => {
      const reference = parseReference(text)
      assert.equal(reference?.repository, repository)
      assert.equal(reference?.normalized, normalized)
      assert.equal(reference?.registry, repository.slice(0, repository.indexOf('/')))
    })
  }

  it('keeps a tag beside a digest and gives no default one', () => {
    assert.deepEqual(parseReference(`nginx:1.25@${digest}`), {
      registry: 'docker.io',
      repository: 'docker.io/library/nginx',
      tag: '1.25',
      digest,
      normalized: `docker.io/library/nginx@${digest}`,
    })
    assert.deepEqual(parseReference(`nginx@${digest}`), {
      registry: 'docker.io',
      repository: 'docker.io/library/nginx',
      digest,
      normalized: `docker.io/library/nginx@${digest}`,
    })
  })

  it('counts the path alone against the 255 characters of a name, as distribution does', () => {
    const path = Array.from({ length: 10 }, () => 'abcdefghijklmnopqrstuvwx').join('/')
    assert.equal(parseReference(`registry.example/${path}@${digest}`)?.digest, digest)
    assert.equal(parseReference(`registry.example/${path}/${path}`), undefined)
  })

  it('does not guess what the beginning of an image id means', () => {
    for (const text of ['sha256:3dc0', `sha256:${hex.slice(1)}`, 'sha512:0'])
      assert.equal(parseReference(text), undefined, text)
    assert.notEqual(parseReference('sha256:v1.2'), undefined)
  })

  it('takes a bare digest for an image id, as containerd does', () => {
    assert.deepEqual(parseReference(digest), {
      registry: 'docker.io',
      repository: 'docker.io/library/sha256',
      digest,
      normalized: `docker.io/library/sha256@${digest}`,
    })
  })

  const invalid: readonly string[] = [
    '',
    ' nginx',
    'nginx ',
    'nginx:',
    'nginx@',
    'Nginx',
    'shop/Web',
    '/nginx',
    'nginx/',
    'a//b',
    'a___b',
    'a..b',
    '-a',
    'a-',
    'nginx:-1',
    `nginx:${'t'.repeat(129)}`,
    'nginx:1:2',
    'https://registry.example/a',
    'registry.example:x/a',
    '-bad.example/a',
    'nginx@sha256:abc',
    `nginx@sha256:${hex.toUpperCase()}`,
    `nginx@md5:${hex}`,
    `nginx@${digest}@${digest}`,
    hex,
    `a/${'b'.repeat(254)}`,
    'a'.repeat(100_000),
    'n\u0261inx',
    'nginx\n',
    '__proto__',
  ]
  for (const text of invalid) {
    it(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
      assert.equal(parseReference(text), undefined)
    })
  }

  it('is idempotent: a normalized reference parses to itself', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}$/u)
    fc.assert(
      fc.property(
        fc.array(part, { minLength: 1, maxLength: 4 }),
        fc.option(part),
        fc.boolean(),
        (parts, tag, pinned) => {
          const text = `${parts.join('/')}${tag === null ? '' : `:${tag}`}${pinned ? `@${digest}` : ''}`
          const first = parseReference(text)
          assert.ok(first)
          assert.equal(parseReference(first.normalized)?.normalized, first.normalized)
        },
      ),
    )
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseReference(text)))
  })
})

describe('digests', () => {
  it('knows a digest', () => {
    assert.equal(isDigest(digest), true)
    assert.equal(isDigest(`${digest}0`), false)
    assert.equal(isDigest(`sha256:${hex.toUpperCase()}`), false)
    assert.equal(isDigest(hex), false)
  })

  const ids: readonly (readonly [string, string | undefined])[] = [
    [`docker.io/library/nginx@${digest}`, digest],
    [`docker-pullable://nginx@${digest}`, digest],
    [`docker://${digest}`, digest],
    [digest, digest],
    ['', undefined],
    ['docker.io/library/nginx:1.25', undefined],
    [hex, undefined],
    [`nginx@${digest}/x`, undefined],
  ]
  for (const [id, expected] of ids) {
    it(`finds ${expected === undefined ? 'nothing' : 'the digest'} in ${JSON.stringify(id.slice(0, 40))}`, () => {
      assert.equal(digestOfImageId(id), expected)
    })
  }
})
