/** References of images in CEL, read as src/kube/reference.ts reads them. */

/** `body` with `name` standing for a value: CEL has no `let`. */
export const bind = (name: string, value: string, body: string): string => `[${value}].map(${name}, ${body})[0]`

const DIGEST = '^(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$'
const DOCKER_HUB = "['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com']"

/** As `canonicalRegistry` of src/kube/reference.ts; `registry` is in lower case. */
const canonicalRegistry = (registry: string): string =>
  bind(
    'port',
    // Without the zeros in front of it; '' where there is none, or none that is a port.
    `${registry}.matches('[^:]:0*[0-9]{1,5}$') ? ${registry}.find('[0-9]+$').find('([1-9][0-9]*|0)$') : ''`,
    bind(
      'host',
      `port == '' ? ${registry} : ${registry}.substring(0, ${registry}.lastIndexOf(':'))`,
      [
        `host in ${DOCKER_HUB} && (port == '' || port == '443') ? 'docker.io' :`,
        `port == '' ? ${registry} :`,
        `port == '443' && (host.contains('.') || host.contains(']') || host == 'localhost') ? host : host + ':' + port`,
      ].join(' '),
    ),
  )

/**
 * What `parseReference` of src/kube/reference.ts makes of an image, `normalized`, for everything that is a reference; what is none, the webhook refuses.
 * CEL over an expression that is evaluated more than once, so give a name.
 */
export const normalizedReference = (image: string): string =>
  [
    `${image}.startsWith('sha') && ${image}.matches('${DIGEST}') ? 'docker.io/library/' + ${image}.split(':')[0] + '@' + ${image} :`,
    bind(
      'named',
      `${image}.split('@')[0]`,
      bind(
        'last',
        `named.substring(named.lastIndexOf('/') + 1)`,
        bind(
          'name',
          `last.contains(':') ? named.substring(0, named.lastIndexOf(':')) : named`,
          bind(
            'first',
            `name.contains('/') ? name.split('/')[0] : ''`,
            bind(
              'registry',
              `first.contains('.') || first.contains(':') || first == 'localhost' || first.lowerAscii() != first ? first : ''`,
              bind(
                'rest',
                `registry == '' ? name : name.substring(size(registry) + 1)`,
                bind(
                  'canonical',
                  `registry == '' ? 'docker.io' : ${bind('lowered', 'registry.lowerAscii()', canonicalRegistry('lowered'))}`,
                  [
                    `canonical + '/' + (canonical == 'docker.io' && !rest.contains('/') ? 'library/' : '') + rest`,
                    `(${image}.contains('@') ? '@' + ${image}.substring(${image}.indexOf('@') + 1) : last.contains(':') ? last.substring(last.indexOf(':')) : ':latest')`,
                  ].join(' + '),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  ].join(' ')
