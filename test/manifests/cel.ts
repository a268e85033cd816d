/**
 * As much of CEL as the guard is written in, so that its very text can be asked millions of times without an API server; test/cluster asks the
 * real one about the same cases. Anything else in an expression throws.
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

const truth = (value: unknown): boolean => {
  if (typeof value !== 'boolean') throw new Error('no boolean')
  return value
}

const BINARY: readonly (readonly [readonly string[], (operator: string, a: unknown, b: unknown) => unknown])[] = [
  [
    ['==', '!=', '<', '>', 'in'],
    (operator, a, b) => {
      if (operator === 'in') return keysOf(b).includes(a)
      // Lists and maps are equal by what they hold.
      if (operator === '==' || operator === '!=')
        return (JSON.stringify(a) === JSON.stringify(b)) === (operator === '==')
      if (typeof a !== 'number' || typeof b !== 'number') throw new Error(`no numbers beside ${operator}`)
      return operator === '<' ? a < b : a > b
    },
  ],
  [
    ['+'],
    (_operator, a, b) => {
      if (typeof a !== 'string' || typeof b !== 'string') throw new Error('no strings beside +')
      return a + b
    },
  ],
]

const METHODS: Readonly<Record<string, (self: unknown, argument: unknown) => unknown>> = {
  matches: (self, pattern) => new RegExp(String(pattern), 'u').test(String(self)),
  join: (self, separator) => (self as readonly unknown[]).join(String(separator)),
}

/** list.filter(name, expression) and its like. */
const MACROS: Readonly<Record<string, (list: readonly unknown[], holds: (item: unknown) => unknown) => unknown>> = {
  filter: (list, holds) => list.filter((item) => truth(holds(item))),
  map: (list, holds) => list.map(holds),
  exists: (list, holds) => list.some((item) => truth(holds(item))),
}

/** Compiles an expression; evaluating it throws where CEL would give an error. `functions` are methods beside those of CEL. */
export const compileCel = (
  text: string,
  functions: Readonly<Record<string, (self: unknown, argument: unknown) => unknown>> = {},
): Evaluate => {
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
    const [argument] = listUntil(')', conditional)
    return (scope) => method(self(scope), argument?.(scope))
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
      if (token.includes('\\')) throw new Error('no escapes in the subset')
      return () => token.slice(1, -1)
    }
    if (/^[0-9]/u.test(token)) return () => Number(token)
    if (token === 'null') return () => null
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
      return (scope) => keysOf(inner(scope)).length
    }
    if (!/^[A-Za-z_]/u.test(token)) throw new Error(`not in the subset: ${token}`)
    return (scope) => field(scope, token)
  }

  const evaluate = conditional()
  if (at < tokens.length) throw new Error(`not in the subset: ${tokens.slice(at, at + 5).join(' ')}`)
  return evaluate
}
