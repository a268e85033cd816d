/** Small C programs for containers, built when a test runs. */
import { execFileSync } from 'node:child_process'

/**
 * Builds one source file into a static program: it runs in an image that holds nothing else.
 * @param include a folder for generated headers
 * @throws Error with the compiler's words
 */
export function compile(source: string, program: string, include?: string): void {
  const headers = include === undefined ? [] : [`-I${include}`]
  execFileSync('gcc', ['-static', '-O1', '-Wall', '-Werror', ...headers, '-o', program, source], { stdio: 'pipe' })
}

/** Numbers of system calls by name, from the kernel's headers of this machine. */
export function syscallNumbers(architecture: 'x86-64' | 'arm64'): ReadonlyMap<string, number> {
  // arm64 has no table of its own: it takes the generic one, with these parts of it (arch/arm64/include/uapi/asm/unistd.h).
  const wanted = ['RENAMEAT', 'NEW_STAT', 'SET_GET_RLIMIT', 'TIME32_SYSCALLS', 'SYS_CLONE3', 'MEMFD_SECRET']
  const [header, flags] =
    architecture === 'x86-64'
      ? ['asm/unistd_64.h', []]
      : ['asm-generic/unistd.h', wanted.map((part) => `-D__ARCH_WANT_${part}`)]
  const macros = execFileSync('gcc', ['-E', '-dM', ...flags, '-include', header, '-x', 'c', '/dev/null'], {
    encoding: 'utf8',
  })
  const texts = new Map([...macros.matchAll(/^#define (__NR\w+) (\w+)$/gm)].map(([, name, text]) => [name!, text!]))
  const numbers = new Map<string, number>()
  for (const [name, text] of texts) {
    // `#define __NR_mmap __NR3264_mmap`
    const number = Number(texts.get(text) ?? text)
    if (name.startsWith('__NR_') && Number.isInteger(number)) numbers.set(name.slice('__NR_'.length), number)
  }
  return numbers
}
