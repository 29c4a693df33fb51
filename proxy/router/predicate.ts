import type { MatchSpec, ValueMatchSpec } from '../../mesh-config/snapshot.ts'
import type { RequestHead } from '../core/message.ts'

/** Whether a request matches; `path` and `query` are the two parts of its target. */
export type Predicate = (request: RequestHead, path: string, query: string) => boolean

/** Compiles a pattern of RE2's syntax to a test of the whole text, in time linear in the text. */
export type CompileRegex = (pattern: string) => (text: string) => boolean

/** Tests all of a match except its path; null when nothing else is to be tested. */
export function conditions(match: MatchSpec, regex: CompileRegex): Predicate | null {
  const tests: Predicate[] = []
  if (match.methods.length !== 0) {
    const methods = new Set(match.methods)
    tests.push(request => methods.has(request.method))
  }
  for (const spec of match.headers) {
    const test = valueTest(spec, regex)
    const { name } = spec
    // HTTP/2 has no Host field, and in the absolute form of HTTP/1.1 it does not count (RFC 9112 section 3.2.2).
    tests.push(
      name === 'host' ? request => test(request.authority || undefined) : request => test(request.headers.get(name)),
    )
  }
  for (const spec of match.query) {
    const test = valueTest(spec, regex)
    const { name } = spec
    tests.push((_request, _path, query) => test(new URLSearchParams(query).get(name) ?? undefined))
  }
  if (tests.length === 0) return null
  return (request, path, query) => tests.every(test => test(request, path, query))
}

export function valueTest(spec: ValueMatchSpec, regex: CompileRegex): (value: string | undefined) => boolean {
  const test = formTest(spec, regex)
  return spec.invert ? value => value !== undefined && !test(value) : test
}

function formTest(spec: ValueMatchSpec, regex: CompileRegex): (value: string | undefined) => boolean {
  const { value: wanted } = spec
  switch (spec.kind) {
    case 'present':
      return value => value !== undefined
    case 'absent':
      return value => value === undefined
    case 'exact':
      return value => value === wanted
    case 'prefix':
      return value => value?.startsWith(wanted) ?? false
    case 'suffix':
      return value => value?.endsWith(wanted) ?? false
    case 'contains':
      return value => value?.includes(wanted) ?? false
    case 'regex': {
      const matches = regex(wanted)
      return value => value !== undefined && matches(value)
    }
  }
}
