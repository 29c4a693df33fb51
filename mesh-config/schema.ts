import { agentSchema } from './agent/agent-file.ts'
import { devSchema } from './dev/dev-file.ts'
import { isAt } from './located.ts'
import { refused } from './not-yet.ts'
import { policySchema } from './policy-schema.ts'
import { serviceSchema } from './service.ts'
import { sidecarSchema } from './sidecar.ts'

/**
 * The documents as JSON Schema: for editors, for the reference, for the reasons in `config effective` and for what
 * errors suggest.
 */

export type DocumentKind = 'sidecar' | 'service' | 'policy' | 'agent' | 'dev'

/**
 * The keywords of JSON Schema that are used, and three of our own: `kind` names the kind of a value, `why` is the
 * reason of a default, `secret` keeps a value out of every output.
 */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly kind?: string
  readonly why?: string
  readonly secret?: boolean
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly SchemaNode[]
  readonly items?: SchemaNode
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: SchemaNode | boolean
  readonly propertyNames?: SchemaNode
}

const documents = {
  sidecar: sidecarSchema,
  service: serviceSchema,
  policy: policySchema,
  agent: agentSchema,
  dev: devSchema,
}

const cache = new Map<DocumentKind, SchemaNode>()

/** Made on first use: a proxy that starts on a valid file does not need it. */
export function schemaOf(kind: DocumentKind): SchemaNode {
  let schema = cache.get(kind)
  if (schema === undefined) {
    schema = documents[kind].toJSONSchema({ io: 'input', unrepresentable: 'any' }) as SchemaNode
    cache.set(kind, schema)
  }
  return schema
}

/** The node of a key or an item; of several allowed forms the first that has it. Null: none. */
export function childOf(node: SchemaNode, step: string | number): SchemaNode | null {
  for (const form of [node, ...(node.anyOf ?? [])]) {
    const property =
      form.properties !== undefined && Object.hasOwn(form.properties, step) ? form.properties[step] : undefined
    if (property !== undefined) return property
    if (typeof step === 'number' && form.items !== undefined) return form.items
    if (typeof form.additionalProperties === 'object') return form.additionalProperties
  }
  return null
}

export function schemaAt(root: SchemaNode, path: readonly (string | number)[]): SchemaNode | null {
  let node: SchemaNode | null = root
  for (const step of path) node = node === null ? null : childOf(node, step)
  return node
}

/** The keys that a map may have; empty when any name is allowed. */
export function keysOf(node: SchemaNode): string[] {
  return [node, ...(node.anyOf ?? [])].flatMap(form => Object.keys(form.properties ?? {}))
}

/** The places of a key, as `services.<name>.timeouts`. */
export function placesOf(key: string, node: SchemaNode, isMap: boolean, prefix = ''): string[] {
  const places: string[] = []
  for (const form of [node, ...(node.anyOf ?? [])]) {
    for (const [name, child] of Object.entries(form.properties ?? {})) {
      const place = prefix === '' ? name : `${prefix}.${name}`
      if (name === key && (!isMap || keysOf(child).length > 0 || child.additionalProperties !== undefined))
        places.push(place)
      places.push(...placesOf(key, child, isMap, place))
    }
    if (form.items !== undefined) places.push(...placesOf(key, form.items, isMap, `${prefix}[]`))
    if (typeof form.additionalProperties === 'object')
      places.push(...placesOf(key, form.additionalProperties, isMap, `${prefix}.<name>`))
  }
  return places
}

/** Where a document stands in a sidecar file, by whose places settings are refused. */
const placeOf: Readonly<Record<DocumentKind, readonly string[]>> = {
  sidecar: [],
  service: ['services', '*'],
  policy: ['services', '*'],
  agent: ['agent file'],
  dev: ['dev file'],
}

const titles: Readonly<Record<DocumentKind, string>> = {
  sidecar: 'Outrigger: a sidecar file',
  service: 'Outrigger: a service policy',
  policy: 'Outrigger: a policy document',
  agent: 'Outrigger: an agent file',
  dev: 'Outrigger: the services of this machine (outrigger dev)',
}

/** For editors: reasons become part of the descriptions, and settings that this version refuses are marked. */
export function publishedSchema(kind: DocumentKind): Record<string, unknown> {
  const { $schema, ...rest } = published(schemaOf(kind), placeOf[kind]) as Record<string, unknown>
  return { $schema, title: titles[kind], ...rest }
}

function published(node: SchemaNode, path: readonly string[]): SchemaNode {
  const { description: _description, ...rest } = withoutOwnWords(node)
  const text = descriptionOf(node, path)
  return {
    ...withVariables(rest),
    ...(text === '' ? {} : { description: text }),
    ...(node.properties === undefined
      ? {}
      : {
          properties: mapValues(node.properties, (child, key) =>
            optional(published(child, [...path, key]), node.required?.includes(key) === true),
          ),
        }),
    ...(typeof node.additionalProperties === 'object'
      ? { additionalProperties: optional(published(node.additionalProperties, [...path, '*']), false) }
      : {}),
    ...(node.propertyNames === undefined ? {} : { propertyNames: withoutOwnWords(node.propertyNames) }),
    ...(node.items === undefined ? {} : { items: published(node.items, [...path, '*']) }),
    ...(node.anyOf === undefined ? {} : { anyOf: node.anyOf.map(form => published(form, [...path, '|'])) }),
  }
}

/** Removes our own keywords. */
function withoutOwnWords({ why: _why, secret: _secret, kind: _kind, ...rest }: SchemaNode): SchemaNode {
  return rest
}

function descriptionOf(node: SchemaNode, path: readonly string[]): string {
  const later = refused.find(entry => isAt(entry.at, path))
  const sentences = [
    node.description,
    node.why === undefined ? undefined : `Default ${JSON.stringify(node.default)}: ${node.why}.`,
    later === undefined
      ? undefined
      : later.values === undefined
        ? 'Not available yet in this version.'
        : `Not available yet in this version: ${later.values.join(', ')}.`,
  ]
  return sentences.filter(sentence => sentence !== undefined).join(' ')
}

/** A scalar may also be a text with a variable, whose value an editor does not know. */
function withVariables(node: SchemaNode): SchemaNode {
  const types = typeof node.type === 'string' ? [node.type] : (node.type ?? [])
  const { enum: several, const: one, ...rest } = node
  const words = several ?? (one === undefined ? undefined : [one])
  if (words !== undefined) {
    const { type: _type, ...others } = rest
    return { ...others, anyOf: [{ enum: words }, { type: 'string', pattern: variable }] }
  }
  if (types.includes('string'))
    return node.pattern === undefined ? node : { ...node, pattern: `${node.pattern}|${variable}` }
  const isScalar = types.some(type => type === 'integer' || type === 'number' || type === 'boolean')
  return isScalar ? { ...node, type: [...types, 'string'], pattern: variable } : node
}

const variable = '\\$\\{'

/** A key without a value restores the default, so null is allowed. */
function optional(node: SchemaNode, isRequired: boolean): SchemaNode {
  if (isRequired) return node
  if (node.anyOf !== undefined) return { ...node, anyOf: [...node.anyOf, { type: 'null' }] }
  if (node.type === undefined) return node
  return { ...node, type: [...(typeof node.type === 'string' ? [node.type] : node.type), 'null'] }
}

function mapValues<From, To>(
  values: Readonly<Record<string, From>>,
  change: (value: From, key: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value, key)]))
}
