/**
 * The messages of OTLP's traces, as far as a receiver must know them to tell whether bytes are one: from
 * opentelemetry/proto/trace/v1/trace.proto, common/v1/common.proto and resource/v1/resource.proto (1.9). Fields that
 * later versions add are passed on unseen.
 */

export type Kind =
  | 'string'
  | 'bytes'
  /** Bytes that JSON writes as hexadecimal digits: ids. */
  | 'id'
  | 'bool'
  | 'int64'
  | 'uint32'
  | 'enum'
  | 'double'
  | 'fixed32'
  | 'fixed64'
  | 'message'

export interface Field {
  readonly number: number
  /** In JSON, where it is lowerCamelCase. */
  readonly name: string
  readonly kind: Kind
  readonly repeated: boolean
  /** Of a `message`. */
  readonly type: MessageType | null
}

export interface MessageType {
  readonly name: string
  /** By number; empty where there is none. */
  readonly fields: readonly (Field | undefined)[]
  readonly byName: ReadonlyMap<string, Field>
}

type Shape = Readonly<Record<string, readonly [number, Kind] | readonly [number, Kind | 'messages', MessageType]>>

/** Known to itself before its fields are: AnyValue holds AnyValues. */
function message(name: string, shape: (self: MessageType) => Shape): MessageType {
  const fields: (Field | undefined)[] = []
  const byName = new Map<string, Field>()
  const self: MessageType = { name, fields, byName }
  for (const [key, [number, kind, type = null]] of Object.entries(shape(self))) {
    const field: Field = {
      number,
      name: key,
      kind: kind === 'messages' ? 'message' : kind,
      repeated: kind === 'messages',
      type,
    }
    fields[number] = field
    byName.set(key, field)
  }
  return self
}

const anyValue: MessageType = message('AnyValue', self => {
  const array = message('ArrayValue', () => ({ values: [1, 'messages', self] }))
  const pair = message('KeyValue', () => ({ key: [1, 'string'], value: [2, 'message', self] }))
  const list = message('KeyValueList', () => ({ values: [1, 'messages', pair] }))
  return {
    stringValue: [1, 'string'],
    boolValue: [2, 'bool'],
    intValue: [3, 'int64'],
    doubleValue: [4, 'double'],
    arrayValue: [5, 'message', array],
    kvlistValue: [6, 'message', list],
    bytesValue: [7, 'bytes'],
  }
})

export const keyValue = message('KeyValue', () => ({ key: [1, 'string'], value: [2, 'message', anyValue] }))

const scope = message('InstrumentationScope', () => ({
  name: [1, 'string'],
  version: [2, 'string'],
  attributes: [3, 'messages', keyValue],
  droppedAttributesCount: [4, 'uint32'],
}))

const event = message('Event', () => ({
  timeUnixNano: [1, 'fixed64'],
  name: [2, 'string'],
  attributes: [3, 'messages', keyValue],
  droppedAttributesCount: [4, 'uint32'],
}))

const link = message('Link', () => ({
  traceId: [1, 'id'],
  spanId: [2, 'id'],
  traceState: [3, 'string'],
  attributes: [4, 'messages', keyValue],
  droppedAttributesCount: [5, 'uint32'],
  flags: [6, 'fixed32'],
}))

const status = message('Status', () => ({ message: [2, 'string'], code: [3, 'enum'] }))

export const span = message('Span', () => ({
  traceId: [1, 'id'],
  spanId: [2, 'id'],
  traceState: [3, 'string'],
  parentSpanId: [4, 'id'],
  flags: [16, 'fixed32'],
  name: [5, 'string'],
  kind: [6, 'enum'],
  startTimeUnixNano: [7, 'fixed64'],
  endTimeUnixNano: [8, 'fixed64'],
  attributes: [9, 'messages', keyValue],
  droppedAttributesCount: [10, 'uint32'],
  events: [11, 'messages', event],
  droppedEventsCount: [12, 'uint32'],
  links: [13, 'messages', link],
  droppedLinksCount: [14, 'uint32'],
  status: [15, 'message', status],
}))

export const resource = message('Resource', () => ({
  attributes: [1, 'messages', keyValue],
  droppedAttributesCount: [2, 'uint32'],
}))

const scopeSpans = message('ScopeSpans', () => ({
  scope: [1, 'message', scope],
  spans: [2, 'messages', span],
  schemaUrl: [3, 'string'],
}))

export const resourceSpans = message('ResourceSpans', () => ({
  resource: [1, 'message', resource],
  scopeSpans: [2, 'messages', scopeSpans],
  schemaUrl: [3, 'string'],
}))

/** ExportTraceServiceRequest; TracesData has the same form. */
export const traceRequest = message('ExportTraceServiceRequest', () => ({
  resourceSpans: [1, 'messages', resourceSpans],
}))
