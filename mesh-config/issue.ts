import { resolvePlain } from './environment.ts'
import { isAt, keyPosition, type Located, nodeAt, type Path, type Problem, positionAt, problem } from './located.ts'
import { nearest, typingErrors } from './nearest.ts'
import { refused } from './not-yet.ts'
import { placeOfWord, whyNotHere } from './other-words.ts'
import { keysOf, placesOf, type SchemaNode, schemaAt } from './schema.ts'
import { isSecretField, referenceWithoutSecret } from './secret.ts'
import type { Wrong } from './wrong.ts'

/** A violation as the schema library reports it, with the fields that are used here. */
export interface Issue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly expected?: unknown
  readonly keys?: readonly string[]
  readonly values?: readonly unknown[]
  readonly minimum?: unknown
  readonly maximum?: unknown
  readonly errors?: readonly (readonly Issue[])[]
  readonly issues?: readonly Issue[]
  readonly params?: Readonly<Record<string, unknown>> | undefined
}

/** Explains a violation of the schema: its position, what is wrong, and what to write. */
export function explainIssue(issue: Issue, root: Located, schema: SchemaNode, around: Path = []): Problem[] {
  const path = [...around, ...issue.path.map(step => (typeof step === 'number' ? step : String(step)))]
  const node = nodeAt(root, path)
  if (node?.kind === 'scalar' && node.unusable) return []
  if (issue.code === 'unrecognized_keys') return (issue.keys ?? []).map(key => unknownKey(key, path, root, schema))
  if (issue.code === 'invalid_union')
    return bestForm(issue.errors ?? [], node).flatMap(inner => explainIssue(inner, root, schema, path))
  if (issue.code === 'invalid_key') {
    const at = keyPosition(root, path)
    // A service that only discovery.endpoints names is checked under services too: its name is reported at its own
    // position.
    if (at === null) return []
    const wrong = issue.issues?.[0]?.params?.wrong as Wrong | undefined
    return [
      problem(
        at,
        wrong === undefined
          ? `"${String(path.at(-1))}" cannot be a key here`
          : sentence(wrong, `"${String(path.at(-1))}"`, false),
      ),
    ]
  }
  if (node === null || (node.kind === 'scalar' && node.value === null)) return [missing(path, root, schema)]
  const label = labelOf(path)
  return [
    problem(node.at, `${label === '' ? '' : `${label}: `}${explainValue(issue, path, node, schemaAt(schema, path))}`),
  ]
}

function explainValue(issue: Issue, path: Path, node: Located, schema: SchemaNode | null): string {
  const isSecret = schema?.secret === true || isSecretField(path)
  const hidden = isSecret || (node.kind === 'scalar' && node.written !== null)
  const value = show(node, isSecret)
  if (issue.code === 'custom') return sentence(withSource(issue.params?.wrong as Wrong, node), value, hidden)
  if (issue.code === 'invalid_value') return notOneOf(node, value, available(path, issue.values ?? []), hidden)
  if (issue.code === 'too_small' && node.kind === 'list')
    return 'the list is empty: write at least one item, or leave it out'
  if (issue.code === 'too_small' || issue.code === 'too_big')
    return `${value} is out of range: write a number ${range(issue, schema)}`
  if (isQuotedVariable(issue, node)) return `${value} is in quotes, which make it a text: write it without them`
  if (!hidden && isQuotedNumber(issue, node))
    return `${value} is in quotes, which make it a text: write ${value.slice(1, -1)}`
  return `${value} is not ${kinds[String(issue.expected)] ?? String(issue.expected)}: ${wayOut(String(issue.expected), schema)}`
}

const kinds: Readonly<Record<string, string>> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
}

function wayOut(expected: string, schema: SchemaNode | null): string {
  if (expected === 'array') return 'begin each item with "- ", or write [ ... ]'
  if (expected === 'object' || expected === 'record') {
    const keys = schema === null ? [] : keysOf(schema)
    return keys.length === 0
      ? 'write "key: value" on the lines below'
      : `write "key: value" on the lines below, with the keys ${keys.join(', ')}`
  }
  if (expected === 'boolean') return 'write true or false'
  if (expected === 'string') return 'put it in quotes'
  return `write a number ${range({ path: [] }, schema)}`
}

function range(issue: Issue, schema: SchemaNode | null): string {
  const low = schema?.minimum ?? issue.minimum
  const high = schema?.maximum ?? issue.maximum
  const bounded = typeof high === 'number' && high < Number.MAX_SAFE_INTEGER
  if (low === undefined) return bounded ? `up to ${high}` : 'without quotes'
  return bounded ? `from ${low} to ${high}` : `from ${low} up`
}

/** A variable whose value would be accepted without quotes. */
function isQuotedVariable({ expected }: Issue, node: Located): boolean {
  if (node.kind !== 'scalar' || node.written === null || typeof node.value !== 'string') return false
  const kind = typeof resolvePlain(node.value)
  return kind === 'boolean'
    ? expected === 'boolean'
    : kind === 'number' && (expected === 'number' || expected === 'int')
}

function isQuotedNumber(issue: Issue, node: Located): boolean {
  return (
    (issue.expected === 'number' || issue.expected === 'int') &&
    node.kind === 'scalar' &&
    typeof node.value === 'string' &&
    /^\d+$/.test(node.value)
  )
}

/** Leaves out the values that this version refuses. */
function available(path: Path, values: readonly unknown[]): string[] {
  const entry = refused.find(each => isAt(each.at, path))
  return values.map(String).filter(value => entry?.values?.includes(value) !== true)
}

function notOneOf(node: Located, value: string, values: readonly string[], hidden: boolean): string {
  const typed = node.kind === 'scalar' && !hidden ? String(node.value) : ''
  const meant =
    typed === 'true' && values.includes('on')
      ? 'on'
      : typed === 'false' && values.includes('off')
        ? 'off'
        : nearest(typed, values)
  return `${value} is not one of ${values.join(', ')}${meant === null ? '' : `: did you mean ${meant}?`}`
}

/** For a number where a text belongs, the text with the same characters was probably meant. */
function withSource(wrong: Wrong, node: Located): Wrong {
  if (node.kind !== 'scalar' || node.source === undefined || wrong.meant !== JSON.stringify(String(node.value)))
    return wrong
  return { ...wrong, meant: JSON.stringify(node.source) }
}

function sentence(wrong: Wrong, value: string, hidden: boolean): string {
  const meant = hidden ? null : (wrong.meant ?? null)
  return `${wrong.what.replace('{value}', value)}: ${meant === null ? wrong.fix : `write ${meant}`}`
}

/** Of several allowed forms of a value, the one that the writer probably meant: not one for another kind of value. */
function bestForm(forms: readonly (readonly Issue[])[], node: Located | null): readonly Issue[] {
  const other = (issue: Issue) =>
    issue.path.length === 0 &&
    (issue.code === 'invalid_type' ||
      (issue.code === 'invalid_value' && node !== null && node.kind !== 'scalar') ||
      (issue.params?.wrong as Wrong | undefined)?.otherForm === true)
  const fitting = forms.filter(issues => !issues.some(other))
  const values = fitting.flat().filter(issue => issue.code === 'invalid_value')
  const best = fitting.find(issues => issues.some(issue => issue.code !== 'invalid_value'))
  if (best !== undefined) return best
  return values.length > 0
    ? values
    : (forms.find(issues => node?.kind !== 'scalar' || issues.some(issue => issue.code !== 'invalid_type')) ??
        forms[0] ??
        [])
}

function missing(path: Path, root: Located, schema: SchemaNode): Problem {
  const wanted = schemaAt(schema, path)
  const key = path.at(-1)
  const example = wanted?.examples?.[0]
  const write = example === undefined ? 'give it a value' : `write ${key}: ${String(example)}`
  if (typeof key === 'number') return problem(positionAt(root, path), 'an empty item: give it a value, or remove it')
  const what =
    wanted?.description === undefined ? '' : ` (${lowerFirst(wanted.description.split('. ')[0]!.replace(/\.$/, ''))})`
  return problem(positionAt(root, path), `"${String(key)}" is missing${what}: ${write}`)
}

function unknownKey(key: string, path: Path, root: Located, schema: SchemaNode): Problem {
  const at = keyPosition(root, [...path, key]) ?? positionAt(root, path)
  const reason = whyNotHere([...path, key])
  if (reason !== null) return problem(at, `${key}: ${reason}`)
  const around = schemaAt(schema, path)
  const keys = around === null ? [] : keysOf(around)
  const meant = nearest(key, keys)
  const places = placesOf(key, schema, nodeAt(root, [...path, key])?.kind === 'map')
  // First a typing error of one letter, then a key of this name elsewhere, then a similar key.
  const isSlip = meant !== null && typingErrors(key.toLowerCase(), meant.toLowerCase()) <= 1
  const word = places.length > 0 || isSlip ? null : placeOfWord(key)
  if (word !== null) return problem(at, `unknown key "${key}": here it is ${word}`)
  if (meant !== null && (isSlip || places.length === 0))
    return problem(at, `unknown key "${key}": did you mean "${meant}"?`)
  const known = `possible here: ${keys.join(', ')}`
  return problem(
    at,
    `unknown key "${key}": ${places.length > 0 ? `it belongs in ${places.slice(0, 3).join(' or ')}; ` : ''}${known}`,
  )
}

/** A value as an error may show it: a value from the environment only by the name of its variable. */
export function show(node: Located, secret = false): string {
  if (node.kind !== 'scalar') return `a ${node.kind}`
  if (secret) return 'the value (not shown: it is a secret)'
  if (node.written !== null) return `${referenceWithoutSecret(node.written)} (as set in the environment)`
  const text = node.source ?? JSON.stringify(node.value)
  return text.length > 80 ? `${text.slice(0, 76)}..."` : text
}

function labelOf(path: Path): string {
  const last = path.at(-1)
  if (typeof last !== 'number') return last ?? ''
  const before = path.at(-2)
  return before === undefined ? `[${last}]` : `${before}[${last}]`
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
