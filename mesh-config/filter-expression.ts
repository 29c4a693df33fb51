/**
 * The filter expressions of Consul (go-bexpr) over an instance: `Service.Meta.version == v2 and "a" in Service.Tags`.
 * https://developer.hashicorp.com/consul/api-docs/features/filtering. Read once, when a policy is checked or applied.
 */

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly kind: 'not'; readonly of: Filter }
  | Term

export interface Term {
  readonly kind: 'term'
  readonly selector: Selector
  readonly test: 'equal' | 'in' | 'empty' | 'matches'
  readonly negated: boolean
  /** Empty where the test is `empty`. */
  readonly value: string
}

/** What an expression may look at. `meta` and `node.meta` with a key: one of its values. */
export interface Selector {
  readonly field: Field
  /** Null: the whole map. */
  readonly key: string | null
}

export type Field = 'meta' | 'tags' | 'node.meta' | Fact

/** Of an instance in the registry; endpoints have them where a filter needs them (`factKey`). */
export type Fact =
  | 'service.id'
  | 'service.name'
  | 'service.address'
  | 'service.port'
  | 'node.id'
  | 'node.name'
  | 'node.address'
  | 'node.datacenter'

export type ParsedFilter =
  | { readonly ok: true; readonly filter: Filter }
  | { readonly ok: false; readonly what: string; readonly fix: string }

const LONGEST = 4096
const DEEPEST = 32
const MOST_TERMS = 128

const FIELDS: Readonly<Record<string, Field>> = {
  'Service.Meta': 'meta',
  'Service.Tags': 'tags',
  'Service.ID': 'service.id',
  'Service.Service': 'service.name',
  'Service.Address': 'service.address',
  'Service.Port': 'service.port',
  'Node.Meta': 'node.meta',
  'Node.ID': 'node.id',
  'Node.Node': 'node.name',
  'Node.Address': 'node.address',
  'Node.Datacenter': 'node.datacenter',
}

const known = `write one of ${Object.keys(FIELDS).join(', ')}`

class Wrong extends Error {
  readonly fix: string
  constructor(what: string, fix: string) {
    super(what)
    this.fix = fix
  }
}

interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'mark'
  /** Of a string its content. */
  readonly text: string
  readonly at: number
}

/** Never throws. */
export function parseFilter(text: string): ParsedFilter {
  try {
    if (text.length > LONGEST)
      throw new Wrong(`it has ${text.length} characters, and at most ${LONGEST} are read`, 'write a shorter one')
    return { ok: true, filter: new Parser(tokensOf(text)).whole() }
  } catch (error) {
    if (!(error instanceof Wrong)) throw error
    return { ok: false, what: error.message, fix: error.fix }
  }
}

const TOKEN = /\s*(?:([A-Za-z][A-Za-z0-9_]*)|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)|`([^`]*)`|"([^"]*)"|(==|!=|[()[\].]))/y

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  let at = 0
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at
    const found = TOKEN.exec(text)
    if (found === null) {
      const rest = text.slice(at).trimStart()
      const quote = rest[0] === '"' || rest[0] === '`'
      throw new Wrong(
        `${quote ? 'a text has no end' : `${JSON.stringify(rest[0])} means nothing`} at character ${text.length - rest.length + 1}`,
        quote ? 'close the quotation mark' : 'write a text with other characters in double quotes',
      )
    }
    const [, name, number, raw, quoted, mark] = found
    const kind = name !== undefined ? 'name' : number !== undefined ? 'number' : mark !== undefined ? 'mark' : 'string'
    tokens.push({
      kind,
      text: name ?? number ?? mark ?? raw ?? unquoted(quoted ?? ''),
      at: found.index + found[0].length,
    })
    at = TOKEN.lastIndex
  }
  return tokens
}

/** The escapes of Go that occur in such texts. */
function unquoted(text: string): string {
  return text.replace(/\\(.)/g, (_all, escaped: string) => ({ n: '\n', t: '\t', r: '\r' })[escaped] ?? escaped)
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0
  #terms = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  whole(): Filter {
    if (this.#tokens.length === 0) throw new Wrong('it is empty', 'leave it out where every endpoint counts')
    const filter = this.#or()
    const rest = this.#tokens[this.#at]
    if (rest !== undefined)
      throw new Wrong(`nothing can follow before "${rest.text}"`, 'join two tests by and, or by or')
    return filter
  }

  #or(): Filter {
    const left = this.#and()
    return this.#takes('or') ? { kind: 'or', left, right: this.#deeper(() => this.#or()) } : left
  }

  #and(): Filter {
    const left = this.#not()
    return this.#takes('and') ? { kind: 'and', left, right: this.#deeper(() => this.#and()) } : left
  }

  #not(): Filter {
    if (this.#takes('not')) return { kind: 'not', of: this.#deeper(() => this.#not()) }
    if (!this.#takesMark('(')) return this.#term()
    const inner = this.#deeper(() => this.#or())
    if (!this.#takesMark(')')) throw new Wrong('a parenthesis is not closed', 'write a ) behind what belongs together')
    return inner
  }

  /** Chains of `and` and `or` count as well: they nest to the right. */
  #deeper(read: () => Filter): Filter {
    if (++this.#depth > DEEPEST + MOST_TERMS) throw new Wrong('it nests too deeply', 'write a flatter expression')
    const filter = read()
    this.#depth--
    return filter
  }

  #term(): Term {
    if (++this.#terms > MOST_TERMS) throw new Wrong(`it has more than ${MOST_TERMS} tests`, 'write a shorter one')
    const start = this.#at
    const [value, path] = this.#operand()
    if (this.#takesMark('==')) return this.#withValue(path, 'equal', false)
    if (this.#takesMark('!=')) return this.#withValue(path, 'equal', true)
    if (this.#takes('is')) {
      const negated = this.#takes('not')
      if (!this.#takes('empty')) throw new Wrong('"is" is followed by empty, or by not empty', 'write is empty')
      return { kind: 'term', selector: this.#selector(path, 'empty'), test: 'empty', negated, value: '' }
    }
    const negated = this.#takes('not')
    if (this.#takes('contains')) return this.#withValue(path, 'in', negated)
    if (this.#takes('matches')) return this.#withValue(path, 'matches', negated)
    if (this.#takes('in')) {
      const [, container] = this.#operand()
      return { kind: 'term', selector: this.#selector(container, 'in'), test: 'in', negated, value }
    }
    const last = this.#tokens[this.#at - 1] ?? this.#tokens[start]
    throw new Wrong(
      `no comparison follows "${last?.text ?? ''}"`,
      'write ==, !=, in, not in, contains, matches, is empty or is not empty',
    )
  }

  #withValue(path: readonly string[] | null, test: Term['test'], negated: boolean): Term {
    const [value] = this.#operand()
    const selector = this.#selector(path, test)
    if (selector.field === 'service.port' && !/^-?\d+$/.test(value))
      throw new Wrong(`${value} is no port`, 'write a number, such as Service.Port == 80')
    return { kind: 'term', selector, test, negated, value }
  }

  /** Its text, and the steps of it where it is a name. */
  #operand(): [value: string, path: readonly string[] | null] {
    const token = this.#tokens[this.#at]
    if (token === undefined) throw new Wrong('it ends too early', 'write a value, such as "v2"')
    if (token.kind === 'mark') throw new Wrong(`"${token.text}" is no value`, 'write a value, such as "v2"')
    this.#at++
    if (token.kind !== 'name') return [token.text, null]
    const path = [token.text]
    for (;;) {
      if (this.#takesMark('.')) path.push(this.#step('name', 'a name follows a point'))
      else if (this.#takesMark('[')) {
        path.push(this.#step('string', 'a key in [ ] is in quotation marks'))
        if (!this.#takesMark(']')) throw new Wrong('a [ is not closed', 'write ["key"]')
      } else return [path.join('.'), path]
    }
  }

  #step(kind: Token['kind'], otherwise: string): string {
    const token = this.#tokens[this.#at]
    if (token?.kind !== kind) throw new Wrong(otherwise, 'write Service.Meta.version or Service.Meta["version"]')
    this.#at++
    return token.text
  }

  #selector(path: readonly string[] | null, test: Term['test']): Selector {
    if (path === null) throw new Wrong('a value stands where a field of the instance belongs', known)
    const field = FIELDS[path.slice(0, 2).join('.')]
    if (path.length < 2 || field === undefined) throw new Wrong(`there is no field ${path.join('.')}`, known)
    const isMap = field === 'meta' || field === 'node.meta'
    if (path.length > (isMap ? 3 : 2)) throw new Wrong(`${path.join('.')} has nothing below it`, known)
    const key = path[2] ?? null
    const whole = key === null && (isMap || field === 'tags')
    if (whole && (test === 'equal' || test === 'matches'))
      throw new Wrong(`${path.join('.')} is no text`, 'write "value" in Service.Tags, or Service.Meta.key == value')
    if (!whole && test === 'empty')
      throw new Wrong(`${path.join('.')} is a text, which is not asked that`, 'write == "" or != ""')
    if (field === 'service.port' && test !== 'equal') throw new Wrong('Service.Port is a number', 'write ==, or !=')
    return { field, key }
  }

  #takes(word: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'name' || token.text !== word) return false
    this.#at++
    return true
  }

  #takesMark(mark: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.kind !== 'mark' || token.text !== mark) return false
    this.#at++
    return true
  }
}

/** All tests in it. */
export function termsOf(filter: Filter): readonly Term[] {
  if (filter.kind === 'term') return [filter]
  return filter.kind === 'not' ? termsOf(filter.of) : [...termsOf(filter.left), ...termsOf(filter.right)]
}

/** It looks at more than what every endpoint has: what Consul calls meta and tags of the service. */
export function needsFacts(filter: Filter): boolean {
  return termsOf(filter).some(({ selector: { field } }) => field !== 'meta' && field !== 'tags')
}
