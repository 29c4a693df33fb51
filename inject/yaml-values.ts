import { Lexer, parseDocument, stringify } from 'yaml'
import { shield, unshield } from '../mesh-config/environment.ts'
import { outOfBounds } from '../mesh-config/yaml-bounds.ts'
import { isMap, type Json } from './shape.ts'

/** As Kubernetes reads it, which is YAML 1.1: `on` and `0755` need quotes there. */
const style = { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false } as const

export function yamlText(value: unknown, indent = 2, indentSeq = false): string {
  return stringify(value, { ...style, indent, indentSeq })
}

/** A part of a sidecar file, with its `${VARIABLES}` as they are; or, as a text, why it is none. */
export function parseConfig(text: string): Json | string {
  const tooMuch = outOfBounds(new Lexer().lex(text))
  if (tooMuch !== null) return tooMuch.message
  const document = parseDocument(shield(text), { prettyErrors: false, merge: true })
  const error = document.errors[0]
  if (error !== undefined) return `${error.message}: is each line indented as it should be?`
  const value = unshielded(plainOf(document))
  if (value === null) return {}
  return isMap(value) ? value : 'this is no part of a sidecar file: write maps such as "discovery: ..."'
}

function plainOf(document: { toJS(options: { maxAliasCount: number }): unknown }): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch {
    return 'aliases'
  }
}

function unshielded(value: unknown): unknown {
  if (typeof value === 'string') return unshield(value)
  if (Array.isArray(value)) return value.map(unshielded)
  if (!isMap(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [unshield(key), unshielded(each)]))
}
