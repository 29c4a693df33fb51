import type { RoutePolicy, ValuePolicy } from './service.ts'
import type { MatchSpec, ValueMatchSpec } from './snapshot.ts'

export function compileMatch({ path, methods, headers, query }: RoutePolicy['match']): MatchSpec {
  const { ignoreCase = false, ...forms } = { ignoreCase: false, ...(path ?? { prefix: '/' }) }
  const [kind, value] = formOf<MatchSpec['path']['kind'], string>(forms)
  return {
    path: { kind, value, ...(ignoreCase ? { ignoreCase } : {}) },
    methods: methods ?? [],
    headers: Object.entries(headers ?? {}).flatMap(([name, match]) => compileValues(name.toLowerCase(), match)),
    query: Object.entries(query ?? {}).flatMap(([name, match]) => compileValues(name, match)),
  }
}

function compileValues(name: string, match: ValuePolicy): ValueMatchSpec[] {
  return Array.isArray(match) ? match.map(each => compileValue(name, each)) : [compileValue(name, match)]
}

function compileValue(name: string, match: Exclude<ValuePolicy, readonly unknown[]>): ValueMatchSpec {
  const { invert = false, ...forms } = { invert: false, ...match }
  const [kind, value] = formOf<Exclude<ValueMatchSpec['kind'], 'absent'>, string | boolean>(forms)
  if (typeof value === 'boolean') return { name, kind: value === invert ? 'absent' : 'present', value: '' }
  return { name, kind, value, ...(invert ? { invert } : {}) }
}

/** The one form that is given. */
function formOf<Kind, Value>(forms: object): [Kind, Value] {
  return Object.entries(forms).find(([, value]) => value !== undefined) as [Kind, Value]
}
