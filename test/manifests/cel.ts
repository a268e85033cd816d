/**
 * As much of CEL as the guard and the safety net are written in, so that their very text can be asked millions of times without an API server;
 * test/cluster asks the real one about the same cases. Anything else in an expression throws.
 */

type Scope = Readonly<Record<string, unknown>>
type Evaluate = (scope: Scope) => unknown

const TOKEN =
  /\s*(?:('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|([0-9]+)|([A-Za-z_][A-Za-z0-9_]*)|(&&|\|\||[=!<>]=|[-+!<>?:.,()[\]{}]))/y

const tokensOf = (text: string): readonly string[] => {
  const tokens: string[] = []
  const pattern = new RegExp(TOKEN)
  while (pattern.lastIndex < text.trimEnd().length) {
    const at = pattern.lastIndex
    const match = pattern.exec(text)
    if (match === null) throw new Error(`not in the subset: ${text.slice(at, at + 30)}`)
    tokens.push(match[0].trim())
  }
  return tokens
}

const keysOf = (value: unknown): readonly unknown[] => {
  if (Array.isArray(value)) return value as readonly unknown[]
  if (typeof value === 'object' && value !== null) return Object.keys(value)
  throw new Error('no list and no map')
}

const field = (value: unknown, key: unknown): unknown => {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, String(key)))
    throw new Error(`no such key: ${String(key)}`)
  return (value as Scope)[String(key)]
}

const isMap = (value: unknown): value is Scope => typeof value === 'object' && value !== null && !Array.isArray(value)

const areComparable = (a: unknown, b: unknown): a is number | string =>
  typeof a === typeof b && (typeof a === 'number' || typeof a === 'string')

const unknownEscape = (char: string): never => {
  throw new Error(`not in the subset: \\${char}`)
}

const truth = (value: unknown): boolean => {
  if (typeof value !== 'boolean') throw new Error('no boolean')
  return value
}

const BINARY: readonly (readonly [readonly string[], (operator: string, a: unknown, b: unknown) => unknown])[] = [
  [
    ['==', '!=', '<', '>', 'in'],
    (operator, a, b) => {
      if (operator === 'in')
        return Array.isArray(b) ? keysOf(b).includes(a) : isMap(b) ? Object.hasOwn(b, String(a)) : keysOf(b).length > 0
      // Lists and maps are equal by what they hold.
      if (operator === '==' || operator === '!=')
        return (JSON.stringify(a) === JSON.stringify(b)) === (operator === '==')
      if (!areComparable(a, b)) throw new Error(`no numbers or strings beside ${operator}`)
      return operator === '<' ? a < (b as typeof a) : a > (b as typeof a)
    },
  ],
  [
    ['+'],
    (_operator, a, b) => {
      if (Array.isArray(a) && Array.isArray(b)) return [...(a as unknown[]), ...(b as unknown[])]
      if (typeof a === 'number' && typeof b === 'number') return a + b
      if (typeof a !== 'string' || typeof b !== 'string') throw new Error('no strings, numbers or lists beside +')
      return a + b
    },
  ],
]

/** Beside those of strings, each with strings and numbers as arguments. */
type Method = (self: unknown, ...given: readonly unknown[]) => unknown

const stringOf = (value: unknown): string => {
  if (typeof value !== 'string') throw new Error('no string')
  return value
}

/** Asked for thousands of times with the same pattern. */
const patterns = new Map<string, RegExp>()
const patternOf = (pattern: unknown): RegExp => {
  const known = patterns.get(stringOf(pattern)) ?? new RegExp(stringOf(pattern), 'u')
  patterns.set(stringOf(pattern), known)
  return known
}

/** What Go calls space, at both ends; JavaScript's `trim` differs in two characters. */
const SPACE =
  /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/gu

const METHODS: Readonly<Record<string, Method>> = {
  matches: (self, pattern) => patternOf(pattern).test(stringOf(self)),
  find: (self, pattern) => patternOf(pattern).exec(stringOf(self))?.[0] ?? '',
  contains: (self, part) => stringOf(self).includes(stringOf(part)),
  startsWith: (self, part) => stringOf(self).startsWith(stringOf(part)),
  indexOf: (self, part) => stringOf(self).indexOf(stringOf(part)),
  lastIndexOf: (self, part) => stringOf(self).lastIndexOf(stringOf(part)),
  split: (self, separator) => stringOf(self).split(stringOf(separator)),
  replace: (self, part, by) => stringOf(self).replaceAll(stringOf(part), stringOf(by)),
  trim: (self) => stringOf(self).replace(SPACE, ''),
  lowerAscii: (self) => stringOf(self).replace(/[A-Z]/gu, (letter) => letter.toLowerCase()),
  substring: (self, from, to) => {
    const [start, end] = [Number(from), to === undefined ? stringOf(self).length : Number(to)]
    if (start < 0 || end < start || end > stringOf(self).length) throw new Error('index out of range')
    return stringOf(self).slice(start, end)
  },
  join: (self, separator) => (self as readonly unknown[]).join(String(separator)),
}

/** list.filter(name, expression) and its like. */
const MACROS: Readonly<Record<string, (list: readonly unknown[], holds: (item: unknown) => unknown) => unknown>> = {
  filter: (list, holds) => list.filter((item) => truth(holds(item))),
  map: (list, holds) => list.map(holds),
  exists: (list, holds) => list.some((item) => truth(holds(item))),
  all: (list, holds) => list.every((item) => truth(holds(item))),
}

/** Compiles an expression; evaluating it throws where CEL would give an error. `functions` are methods beside those of CEL. */
export const compileCel = (text: string, functions: Readonly<Record<string, Method>> = {}): Evaluate => {
  const tokens = tokensOf(text)
  let at = 0
  const is = (token: string): boolean => tokens[at] === token && ++at > 0
  const want = (token: string): void => {
    if (!is(token)) throw new Error(`wanted ${token}, found ${tokens.slice(at, at + 5).join(' ')}`)
  }
  const listUntil = <T>(end: string, one: () => T): readonly T[] => {
    const items: T[] = []
    while (!is(end)) {
      items.push(one())
      if (!is(',') && tokens[at] !== end) throw new Error(`wanted , or ${end}`)
    }
    return items
  }

  const conditional = (): Evaluate => {
    const condition = or()
    if (!is('?')) return condition
    const yes = or()
    want(':')
    const no = conditional()
    return (scope) => (truth(condition(scope)) ? yes(scope) : no(scope))
  }
  const or = (): Evaluate => {
    let left = and()
    while (is('||')) {
      const [a, b] = [left, and()]
      left = (scope) => truth(a(scope)) || truth(b(scope))
    }
    return left
  }
  const and = (): Evaluate => {
    let left = binary(0)
    while (is('&&')) {
      const [a, b] = [left, binary(0)]
      left = (scope) => truth(a(scope)) && truth(b(scope))
    }
    return left
  }
  const binary = (level: number): Evaluate => {
    const known = BINARY[level]
    if (known === undefined) return unary()
    let left = binary(level + 1)
    for (let operator = tokens[at]; operator !== undefined && known[0].includes(operator); operator = tokens[at]) {
      at++
      const [name, a, b] = [operator, left, binary(level + 1)]
      left = (scope) => known[1](name, a(scope), b(scope))
    }
    return left
  }
  const unary = (): Evaluate => {
    if (!is('!')) return member()
    const inner = unary()
    return (scope) => !truth(inner(scope))
  }
  const member = (): Evaluate => {
    let self = primary()
    for (;;) {
      const value = self
      if (is('[')) {
        const index = conditional()
        want(']')
        self = (scope) => field(value(scope), index(scope))
      } else if (is('.')) {
        const name = tokens[at++] ?? ''
        self = is('(') ? call(value, name) : (scope) => field(value(scope), name)
      } else return self
    }
  }
  const call = (self: Evaluate, name: string): Evaluate => {
    const macro = MACROS[name]
    if (macro !== undefined) {
      const item = tokens[at++] ?? ''
      want(',')
      const body = conditional()
      want(')')
      return (scope) => macro([...keysOf(self(scope))], (value) => body({ ...scope, [item]: value }))
    }
    const method = METHODS[name] ?? functions[name]
    if (method === undefined) throw new Error(`no method ${name}`)
    const given = listUntil(')', conditional)
    return (scope) => method(self(scope), ...given.map((argument) => argument(scope)))
  }
  const primary = (): Evaluate => {
    if (is('(')) {
      const inner = conditional()
      want(')')
      return inner
    }
    if (is('[')) {
      const items = listUntil(']', conditional)
      return (scope) => items.map((item) => item(scope))
    }
    if (is('{')) {
      const pairs = listUntil('}', () => {
        const key = conditional()
        want(':')
        return [key, conditional()] as const
      })
      return (scope) => Object.fromEntries(pairs.map(([key, value]) => [String(key(scope)), value(scope)]))
    }
    const token = tokens[at++] ?? ''
    if (/^['"]/u.test(token)) {
      const value = token
        .slice(1, -1)
        .replace(/\\(?:u([0-9a-f]{4})|(.))/gu, (_whole, hex: string | undefined, char: string) =>
          hex === undefined ? (char === '\\' ? char : unknownEscape(char)) : String.fromCharCode(parseInt(hex, 16)),
        )
      return () => value
    }
    if (/^[0-9]/u.test(token)) return () => Number(token)
    if (token === 'null') return () => null
    if (token === 'true' || token === 'false') return () => token === 'true'
    if (token === 'has' && is('(')) {
      // The last selection of its argument is what is asked about.
      const path = member()
      want(')')
      return (scope) => {
        try {
          return path(scope) !== undefined
        } catch {
          return false
        }
      }
    }
    if (token === 'size' && is('(')) {
      const inner = conditional()
      want(')')
      return (scope) => {
        const value = inner(scope)
        // Code points, as in CEL.
        return typeof value === 'string' ? Array.from(value).length : keysOf(value).length
      }
    }
    if (token === 'string' && is('(')) {
      const inner = conditional()
      want(')')
      return (scope) => stringOf(inner(scope))
    }
    if (!/^[A-Za-z_]/u.test(token)) throw new Error(`not in the subset: ${token}`)
    return (scope) => field(scope, token)
  }

  const evaluate = conditional()
  if (at < tokens.length) throw new Error(`not in the subset: ${tokens.slice(at, at + 5).join(' ')}`)
  return evaluate
}
