import { hostname, networkInterfaces } from 'node:os'

/** The addresses that the self-made certificate must cover. */
export function certificateNames(host: string, extra: readonly string[]): string[] {
  const wildcard = host === '0.0.0.0' || host === '::'
  // Whoever listens on every address is reached by any of them.
  const own = wildcard
    ? [
        hostname(),
        ...Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address)),
      ]
    : [host]
  return [...new Set(['127.0.0.1', 'localhost', ...own.filter((name) => !name.includes('%')), ...extra])]
}

/** The names that every replica is reached by through its Services; the same for all of them, because they share one certificate. */
export function serviceNames(services: readonly string[], namespace: string, extra: readonly string[]): string[] {
  const ofServices = services.flatMap((service) =>
    ['', `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`].map((rest) => service + rest),
  )
  return [...new Set([...ofServices, 'localhost', '127.0.0.1', ...extra])]
}
