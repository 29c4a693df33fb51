import type { ValuePolicy } from './service.ts'
import type { ValueMatchSpec } from './snapshot.ts'

/** How a header or a query parameter must be, as the data threads read it. */
export function compileValues(name: string, match: ValuePolicy): ValueMatchSpec[] {
  return Array.isArray(match) ? match.map(each => compileValue(name, each)) : [compileValue(name, match)]
}

function compileValue(name: string, match: Exclude<ValuePolicy, readonly unknown[]>): ValueMatchSpec {
  const { invert = false, ...forms } = { invert: false, ...match }
  const [kind, value] = formOf<Exclude<ValueMatchSpec['kind'], 'absent'>, string | boolean>(forms)
  if (typeof value === 'boolean') return { name, kind: value === invert ? 'absent' : 'present', value: '' }
  return { name, kind, value, ...(invert ? { invert } : {}) }
}

/** The one form that is given. */
export function formOf<Kind, Value>(forms: object): [Kind, Value] {
  return Object.entries(forms).find(([, value]) => value !== undefined) as [Kind, Value]
}
