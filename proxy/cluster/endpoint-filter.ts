import { type Filter, parseFilter, type Selector, type Term } from '../../mesh-config/filter-expression.ts'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'

/** Compiles a pattern of RE2's syntax to a test of the whole text. */
export type CompileRegex = (pattern: string) => (text: string) => boolean

type Test = (endpoint: EndpointSpec) => boolean

/** Throws where the expression, which was checked before, cannot be read. */
export function endpointFilter(expression: string, regex: CompileRegex): Test {
  const parsed = parseFilter(expression)
  if (!parsed.ok) throw new Error(`a filter cannot be read: ${parsed.what}`)
  return compile(parsed.filter, regex)
}

function compile(filter: Filter, regex: CompileRegex): Test {
  if (filter.kind === 'term') return term(filter, regex)
  if (filter.kind === 'not') {
    const of = compile(filter.of, regex)
    return endpoint => !of(endpoint)
  }
  const [left, right] = [compile(filter.left, regex), compile(filter.right, regex)]
  return filter.kind === 'and'
    ? endpoint => left(endpoint) && right(endpoint)
    : endpoint => left(endpoint) || right(endpoint)
}

function term({ selector, test, negated, value }: Term, regex: CompileRegex): Test {
  const { field, key } = selector
  if (field === 'tags') return listed(endpoint => tagsOf(endpoint, test, value), negated)
  if ((field === 'meta' || field === 'node.meta') && key === null)
    return listed(({ metadata }) => keysOf(metadata, field, test, value), negated)
  const read = reader(selector)
  const compare = comparison(test, value, field === 'service.port', regex)
  return endpoint => {
    const text = read(endpoint)
    // An absent key is as Consul has it: equal to nothing, in nothing, empty, and, oddly, matching any pattern.
    if (text === undefined) return test === 'empty' || test === 'matches' ? test === 'matches' || !negated : negated
    return compare(text) !== negated
  }
}

function listed(holds: Test, negated: boolean): Test {
  return negated ? endpoint => !holds(endpoint) : holds
}

const TAG = 'tag.'

function tagsOf({ metadata }: EndpointSpec, test: Term['test'], value: string): boolean {
  if (test === 'in') return metadata[TAG + value] === 'true'
  for (const name in metadata) if (name.startsWith(TAG)) return false
  return true
}

function keysOf(
  metadata: EndpointSpec['metadata'],
  field: 'meta' | 'node.meta',
  test: Term['test'],
  value: string,
): boolean {
  const prefix = field === 'meta' ? '' : `${field}.`
  if (test === 'in') return Object.hasOwn(metadata, prefix + value)
  for (const name in metadata) if (field === 'meta' ? !isFact(name) : name.startsWith(prefix)) return false
  return true
}

function isFact(name: string): boolean {
  return name.startsWith(TAG) || name.startsWith('service.') || name.startsWith('node.')
}

function reader({ field, key }: Selector): (endpoint: EndpointSpec) => string | undefined {
  if (field === 'service.port') return ({ port }) => String(port)
  const name = key === null ? field : field === 'meta' ? key : `${field}.${key}`
  // A fact that an endpoint does not have is the empty text that Consul has in its place.
  const absent = key === null ? '' : undefined
  return ({ metadata }) => (Object.hasOwn(metadata, name) ? metadata[name] : absent)
}

function comparison(
  test: Term['test'],
  value: string,
  isNumber: boolean,
  regex: CompileRegex,
): (text: string) => boolean {
  switch (test) {
    case 'equal': {
      const wanted = isNumber ? String(Number(value)) : value
      return text => text === wanted
    }
    case 'in':
      return text => text.includes(value)
    case 'empty':
      return text => text === ''
    case 'matches':
      return regex(`(?s:.*)(?:${value})(?s:.*)`)
  }
}
