import { compileValues, formOf } from './compile-values.ts'
import type { RoutePolicy } from './service.ts'
import type { MatchSpec } from './snapshot.ts'

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
