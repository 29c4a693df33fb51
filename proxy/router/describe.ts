import { hidden, isSecretName } from '../../mesh-config/secret.ts'
import type { MatchSpec, ValueMatchSpec } from '../../mesh-config/snapshot.ts'

/** A match in words, for `/explain`. */
export function describeMatch({ path, methods, headers, query }: MatchSpec): string {
  const parts = [describePath(path)]
  if (methods.length !== 0) parts.push(`method ${methods.join(' or ')}`)
  for (const header of headers) parts.push(`header ${describeValue(header)}`)
  for (const parameter of query) parts.push(`query parameter ${describeValue(parameter)}`)
  return parts.join(', ')
}

function describePath({ kind, value, ignoreCase }: MatchSpec['path']): string {
  const anyCase = ignoreCase ? ' in any case' : ''
  if (kind === 'prefix') return value === '/' || value === '' ? 'any path' : `path begins with ${value}${anyCase}`
  return kind === 'exact' ? `path is ${value}${anyCase}` : `path matches ${value}`
}

const verbs = {
  exact: 'is',
  prefix: 'begins with',
  suffix: 'ends with',
  contains: 'contains',
  regex: 'matches',
  present: 'is there',
  absent: 'is not there',
} as const

function describeValue({ name, kind, value, invert }: ValueMatchSpec): string {
  if (value === '') return `${name} ${verbs[kind]}`
  const verb = invert ? `is there, and it is not so that it ${verbs[kind]}` : verbs[kind]
  return `${name} ${verb} ${isSecretName(name) ? hidden : JSON.stringify(value)}`
}
