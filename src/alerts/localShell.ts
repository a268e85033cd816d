/**
 * The known false positive among reverse shells: a health check by `/dev/tcp`. A shell of the image opens a connection to its own pod and redirects its
 * output there, which looks like the beginning of a reverse shell in every detail but these two.
 */

/** IPv4, IPv6, and IPv4 in IPv6; without a port. A name is none: who may write /etc/hosts decides what `localhost` is. */
const LOOPBACK = /^(?:(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/i

/** Where images have the shells that know `/dev/tcp`. One that was put elsewhere is another executable, and running it is a drop. */
const SHELL = /^\/(?:usr\/(?:local\/)?)?bin\/(?:bash|sh|ksh|ksh93|zsh)$/

/**
 * Whether `executable` (absolute path) is such a shell and `address` (the server's, as text) a loopback address. Undefined, which nobody could tell: no.
 * For decoders: it makes RuntimeAlert.localShell.
 */
export function isLocalShell(executable: string | undefined, address: string | undefined): boolean {
  return executable !== undefined && address !== undefined && SHELL.test(executable) && LOOPBACK.test(address)
}
