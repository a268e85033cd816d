/** Runs a seccomp filter as the kernel does, for any architecture: classic BPF over `struct seccomp_data` (linux/seccomp.h, linux/filter.h). */

export interface Call {
  /** AUDIT_ARCH_*. */
  readonly architecture: number
  readonly number: number
  readonly args?: readonly bigint[]
}

/** linux/audit.h */
export const AUDIT_ARCH = { 'x86-64': 0xc000_003e, arm64: 0xc000_00b7, i386: 0x4000_0003 } as const

/** SECCOMP_RET_*; the errno is in the low half of ERRNO. */
export const VERDICT = { kill: 0, errno: 0x0005_0000, log: 0x7ffc_0000, allow: 0x7fff_0000 } as const

const LOAD = 0x20
const AND = 0x54
const RETURN = 0x06
const JUMP = 0x05
const JUMPS: Readonly<Record<number, (a: number, k: number) => boolean>> = {
  0x15: (a, k) => a === k,
  0x25: (a, k) => a > k,
  0x35: (a, k) => a >= k,
  0x45: (a, k) => (a & k) !== 0,
}

/**
 * @param program lines of "code jt jf k", as filter.c prints them
 * @returns what the filter says of the call: one of VERDICT, for `errno` with the number in it
 * @throws Error for an instruction that libseccomp does not write
 */
export function runFilter(program: string, { architecture, number, args = [] }: Call): number {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number, 0)
  data.writeUInt32LE(architecture, 4)
  args.forEach((value, index) => data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index))
  const code = program
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number) as [number, number, number, number])
  let accumulator = 0
  for (let at = 0; ; at += 1) {
    const [operation, yes, no, k] = code[at]!
    const jump = JUMPS[operation]
    if (operation === RETURN) return k
    else if (operation === LOAD) accumulator = data.readUInt32LE(k)
    else if (operation === AND) accumulator = (accumulator & k) >>> 0
    else if (operation === JUMP) at += k
    else if (jump !== undefined) at += jump(accumulator, k) ? yes : no
    else throw new Error(`instruction ${at} is ${operation}`)
  }
}
