import type { MatchSpec, ValueMatchSpec } from '../../mesh-config/snapshot.ts'
import { fields, flag, listOf, oneOf, optional, type ShapeOf, text } from './shape.ts'

export const value: ShapeOf<ValueMatchSpec> = {
  name: text,
  kind: oneOf('exact', 'prefix', 'suffix', 'contains', 'regex', 'present', 'absent'),
  value: text,
  invert: optional(flag),
}

export const match: ShapeOf<MatchSpec> = {
  path: fields({ kind: oneOf('exact', 'prefix', 'regex'), value: text, ignoreCase: optional(flag) }),
  methods: listOf(text, 0, 100),
  headers: listOf(fields(value), 0, 1_000),
  query: listOf(fields(value), 0, 1_000),
}
