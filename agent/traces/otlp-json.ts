import { isUtf8 } from 'node:buffer'
import type { Field, MessageType } from './messages.ts'
import { traceRequest } from './messages.ts'
import { delimited, FIXED32, FIXED64, Malformed, VARINT, varintField } from './wire.ts'

/**
 * OTLP's JSON as protobuf: ids are hexadecimal, 64-bit numbers may be texts, names are lowerCamelCase, unknown ones are
 * passed over. https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Throws `Malformed`.
 */
export function jsonToProtobuf(body: Buffer): Buffer {
  if (!isUtf8(body)) throw new Malformed('it is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (error) {
    throw new Malformed(`it is not JSON: ${(error as Error).message}`)
  }
  return Buffer.concat(encodeMessage(traceRequest, value, 'the request', 0, { messages: 0 }))
}

const MAX_DEPTH = 64
/** Attributes are most of them: ten thousand spans with twenty. Each takes two microseconds in which nothing else runs. */
const MAX_MESSAGES = 500_000

interface Counted {
  messages: number
}

function encodeMessage(type: MessageType, value: unknown, at: string, depth: number, counted: Counted): Buffer[] {
  if (++counted.messages > MAX_MESSAGES)
    throw new Malformed(`it has more than ${MAX_MESSAGES} objects: send fewer spans`)
  if (depth > MAX_DEPTH) throw new Malformed(`${at} is nested deeper than ${MAX_DEPTH}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed(`${at} is no object`)
  const parts: Buffer[] = []
  for (const [name, given] of Object.entries(value)) {
    const field = type.byName.get(name) ?? type.byName.get(camelCase(name))
    if (field === undefined || given === null) continue
    const place = `${at}.${name}`
    if (!field.repeated) parts.push(...encodeField(field, given, place, depth, counted))
    else if (Array.isArray(given))
      for (const [index, each] of given.entries())
        parts.push(...encodeField(field, each, `${place}[${index}]`, depth, counted))
    else throw new Malformed(`${place} is no list`)
  }
  return parts
}

/** As the proto files write it: some senders do too. */
function camelCase(name: string): string {
  return name.includes('_') ? name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()) : name
}

const ENUMS: Readonly<Record<string, number>> = {
  SPAN_KIND_UNSPECIFIED: 0,
  SPAN_KIND_INTERNAL: 1,
  SPAN_KIND_SERVER: 2,
  SPAN_KIND_CLIENT: 3,
  SPAN_KIND_PRODUCER: 4,
  SPAN_KIND_CONSUMER: 5,
  STATUS_CODE_UNSET: 0,
  STATUS_CODE_OK: 1,
  STATUS_CODE_ERROR: 2,
}

function encodeField(
  { number, kind, type }: Field,
  value: unknown,
  at: string,
  depth: number,
  counted: Counted,
): Buffer[] {
  switch (kind) {
    case 'message':
      return [delimited(number, encodeMessage(type!, value, at, depth + 1, counted))]
    case 'string':
      return [delimited(number, [Buffer.from(text(value, at))])]
    case 'bytes':
      return [delimited(number, [Buffer.from(text(value, at), 'base64')])]
    case 'id': {
      const digits = text(value, at)
      if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new Malformed(`${at} is not written in hexadecimal digits`)
      return digits === '' ? [] : [delimited(number, [Buffer.from(digits, 'hex')])]
    }
    case 'bool':
      if (typeof value !== 'boolean') throw new Malformed(`${at} is neither true nor false`)
      return [varintField(number, value ? 1 : 0)]
    case 'enum':
    case 'uint32': {
      const named = typeof value === 'string' && Object.hasOwn(ENUMS, value) ? ENUMS[value]! : null
      const count = named ?? integer(value, at, 0n, 0xffff_ffffn)
      return [varintField(number, Number(count))]
    }
    case 'int64':
      return [int64(number, integer(value, at, -(2n ** 63n), 2n ** 63n - 1n))]
    case 'double': {
      const bytes = Buffer.alloc(9)
      bytes[0] = number * 8 + FIXED64
      bytes.writeDoubleLE(double(value, at), 1)
      return [bytes]
    }
    case 'fixed32': {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(Number(integer(value, at, 0n, 0xffff_ffffn)))
      return [tag(number, FIXED32), bytes]
    }
    case 'fixed64': {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(integer(value, at, 0n, 2n ** 64n - 1n))
      return [tag(number, FIXED64), bytes]
    }
  }
}

function text(value: unknown, at: string): string {
  if (typeof value !== 'string') throw new Malformed(`${at} is no text`)
  return value
}

function integer(value: unknown, at: string, least: bigint, most: bigint): bigint {
  const isWhole = typeof value === 'string' ? /^-?\d{1,20}$/.test(value) : Number.isInteger(value)
  if (!isWhole) throw new Malformed(`${at} is no whole number`)
  const number = BigInt(value as string | number)
  if (number < least || number > most) throw new Malformed(`${at} is out of range`)
  return number
}

const SPECIAL: readonly unknown[] = ['NaN', 'Infinity', '-Infinity']

function double(value: unknown, at: string): number {
  if (typeof value === 'number' || SPECIAL.includes(value)) return Number(value)
  if (typeof value === 'string' && /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value)) return Number(value)
  throw new Malformed(`${at} is no number`)
}

/** A field number below 16 and its wire type are one byte; that of a span's flags, 16, is two. */
function tag(number: number, wire: number): Buffer {
  const value = number * 8 + wire
  return value < 0x80 ? Buffer.of(value) : Buffer.of((value & 0x7f) | 0x80, value >> 7)
}

function int64(number: number, value: bigint): Buffer {
  const bytes: number[] = [number * 8 + VARINT]
  let rest = BigInt.asUintN(64, value)
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

/** ExportTraceServiceResponse, in the encoding of its request. */
export function encodeAnswer(json: boolean, rejected: number, message: string): Buffer {
  if (json)
    return Buffer.from(
      JSON.stringify(
        message === '' ? {} : { partialSuccess: { rejectedSpans: String(rejected), errorMessage: message } },
      ),
    )
  if (message === '') return Buffer.alloc(0)
  return delimited(1, [...(rejected > 0 ? [varintField(1, rejected)] : []), delimited(2, [Buffer.from(message)])])
}

/** google.rpc.Status, in the encoding of the request. */
export function encodeStatus(json: boolean, code: number, message: string): Buffer {
  if (json) return Buffer.from(JSON.stringify({ code, message }))
  return Buffer.concat([varintField(1, code), delimited(2, [Buffer.from(message)])])
}
