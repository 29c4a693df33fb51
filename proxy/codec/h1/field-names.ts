import { traceFieldOf } from '../../core/trace-fields.ts'
import { LOWER } from '../bytes.ts'

/** The field names the codec and the standard filters look for; all others are 0 and are never decoded. */
export const OTHER = 0
export const CONNECTION = 1
export const CONTENT_LENGTH = 2
export const TRANSFER_ENCODING = 3
export const HOST_FIELD = 4
export const UPGRADE = 5
export const EXPECT = 6
export const KEEP_ALIVE = 7
export const PROXY_CONNECTION = 8
export const TE = 9
export const HTTP2_SETTINGS = 10
export const X_REQUEST_ID = 11
export const X_FORWARDED_FOR = 12
export const X_FORWARDED_PROTO = 13
// Of trace context: nobody else asks for them, and nearly every request is asked.
export const TRACEPARENT = 14
export const TRACESTATE = 15
export const B3 = 16
export const X_B3_TRACEID = 17
export const X_B3_SPANID = 18
export const X_B3_PARENTSPANID = 19
export const X_B3_SAMPLED = 20
export const X_B3_FLAGS = 21
// Of sidecars.
export const X_OUTRIGGER_ATTEMPT = 22
export const X_ENVOY_EXPECTED_RQ_TIMEOUT_MS = 23
/** Taken out by an edit or named by Connection. */
export const REMOVED = 255

const names = [
  '',
  'connection',
  'content-length',
  'transfer-encoding',
  'host',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'http2-settings',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'x-outrigger-attempt',
  'x-envoy-expected-rq-timeout-ms',
]
const bytes = names.map(name => Buffer.from(name))

/** A perfect hash over length, middle and last byte: one look tells "not one of ours" for nearly every name. */
const slots = new Uint8Array(4096)
const slotOf = (length: number, middle: number, last: number) => ((length * 31 + middle) * 17 + last) & 4095
for (let id = 1; id < names.length; id++) {
  const name = bytes[id]!
  const slot = slotOf(name.length, name[name.length >> 1]!, name[name.length - 1]!)
  if (slots[slot] !== 0)
    throw new Error(`field names ${names[id]} and ${names[slots[slot]!]} share a slot: change slotOf`)
  slots[slot] = id
}

export function fieldId(b: Buffer, start: number, end: number): number {
  const length = end - start
  const id = slots[slotOf(length, LOWER[b[start + (length >> 1)]!]!, LOWER[b[end - 1]!]!)]!
  if (id === OTHER) return OTHER
  const name = bytes[id]!
  if (name.length !== length) return OTHER
  // The slot says nothing for sure, of the bytes it was made of neither.
  for (let i = 0; i < length; i++) if (LOWER[b[start + i]!] !== name[i]) return OTHER
  return id
}

/** By id: bits of core/trace-fields.ts. */
export const TRACE_FIELDS = new Uint8Array(256)
for (let id = 1; id < names.length; id++) TRACE_FIELDS[id] = traceFieldOf(names[id]!)

const ids = new Map(names.map((name, id) => [name, id]))

/** `name` is in lower case. */
export function idOfName(name: string): number {
  return ids.get(name) ?? OTHER
}
